// Whether a client sends or reads a body too slowly: at less than a minimum rate, on average, after
// a grace. An inactivity timer alone can be fed a byte at a time for ever. Counted is only the time
// in which the client was waited for. Pure; one for each body of a Transaction.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "jobs/clock.hpp"

namespace raincheck::proxy {

class Pace {
 public:
  using Time = jobs::TimePoint::duration;

  Pace() = default;
  // `rate` in bytes per second; 0: any.
  Pace(std::uint64_t rate, std::chrono::milliseconds grace) : rate_(rate), grace_(grace) {}

  // The client was waited for until now, since the last call.
  void add(Time waited) { waited_ += waited; }

  // When waiting that begins at `now` ends: each of the `bytes` of the body buys its time.
  jobs::TimePoint deadline(jobs::TimePoint now, std::uint64_t bytes) const {
    if (rate_ == 0) return jobs::TimePoint::max();
    // Longer than anything is waited for, and far from overflowing.
    constexpr std::uint64_t seconds_max = std::uint64_t{1} << 30;
    const Time whole = std::chrono::seconds(std::min(bytes / rate_, seconds_max));
    const Time part = std::chrono::milliseconds(bytes % rate_ * 1000 / rate_);
    return now + grace_ + whole + part - waited_;
  }

 private:
  std::uint64_t rate_ = 0;
  std::chrono::milliseconds grace_{};
  Time waited_{};
};

}  // namespace raincheck::proxy
