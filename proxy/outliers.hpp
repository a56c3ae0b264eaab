// Passive ejection (`outlier_detection`): which servers of one upstream are left out because their
// calls failed one after the other. One for each upstream, shared by all shards; any thread. A good
// call costs one atomic read, a failed one a mutex. It calls nobody: who asks tells what happened.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>

#include "config/config.hpp"
#include "jobs/clock.hpp"
#include "jobs/error.hpp"

namespace raincheck::proxy {

// What a call tells of its server.
enum class Verdict {
  good,
  bad,
  nothing,
};
// `status` is of an answer whose head came; a fault that is given up to then goes before it. What
// is of our own making (no socket, a full disk) tells nothing.
Verdict verdict_of(std::optional<jobs::Fault> fault, int status);

class Outliers {
 public:
  // Each ejection that follows the last one closely is longer by ejection_time, up to so many times
  // that.
  static constexpr int longest = 10;

  explicit Outliers(const config::Upstream& upstream);

  bool is_ejected(std::size_t server, jobs::TimePoint now) const {
    return servers_[server].ejected_until.load(std::memory_order_relaxed) > now;
  }
  // When its last ejection ends, or has ended; the beginning of time if there was none.
  jobs::TimePoint returns_at(std::size_t server) const { return servers_[server].ejected_until; }
  // True once for each ejection, when it is over.
  bool has_returned(std::size_t server, jobs::TimePoint now);

  void succeeded(std::size_t server);
  // For how long the server is ejected by this one. Calls that were under way when it was ejected
  // change nothing.
  std::optional<jobs::milliseconds> failed(std::size_t server, jobs::TimePoint now);

 private:
  struct Server {
    std::atomic<std::uint32_t> errors{0};  // in a row
    std::atomic<jobs::TimePoint> ejected_until{jobs::TimePoint()};
    std::atomic<bool> returns{false};  // somebody has yet to hear that it is back
    // Under the mutex:
    int times = 0;  // ejections that followed each other closely
  };

  bool may_eject(jobs::TimePoint now) const;

  const config::OutlierDetection settings_;
  const std::size_t ejected_max_;
  std::mutex mutex_;
  std::deque<Server> servers_;
};

}  // namespace raincheck::proxy
