// A clock that stands still until a test moves it. The wall clock moves along with the monotonic
// one, and by itself when an operator sets it. One thread.
#pragma once

#include "jobs/clock.hpp"

namespace raincheck::test {

class ManualClock final : public jobs::Clock {
 public:
  jobs::TimePoint now() const override { return now_; }
  jobs::WallTime wall_now() const override { return wall_; }

  void advance(jobs::milliseconds time) {
    now_ += time;
    wall_ += time;
  }
  // Forward or backward.
  void set_wall(jobs::milliseconds by) { wall_ += by; }

 private:
  jobs::TimePoint now_{std::chrono::hours(1)};
  jobs::WallTime wall_{std::chrono::hours(24 * 365 * 56)};
};

}  // namespace raincheck::test
