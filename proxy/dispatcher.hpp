// Turns one upstream's queued jobs into attempts: which lane is next is jobs::next_lane()'s to say,
// how many run at once the Slots'. The backlog stays on disk; this holds a few numbers for each
// lane. While the upstream takes no calls its lanes are held back and single jobs are sent as
// probes, at growing intervals. Owned by the shard that owns the upstream, for as long as the
// process lives: a configuration without the upstream has its jobs end as `route_removed`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jobs/schedule.hpp"
#include "proxy/runner.hpp"
#include "proxy/slots.hpp"

namespace raincheck::proxy {

class Dispatcher {
 public:
  // `ended` is called for each job that ends in the queue.
  using Ended =
      std::function<void(const jobs::Place& place, std::string_view route, jobs::ErrorType error)>;
  Dispatcher(ShardResources context,
             Metrics& metrics,
             TaskGroup& tasks,
             std::string upstream,
             Slots& slots,
             Ended ended,
             std::size_t shard);

  // From now on the upstream is what `site` has at `upstream`, and its jobs are given to `runner`.
  // Before run(), and for each new configuration.
  void configure(const Site& site, std::size_t upstream, Runner& runner);
  // The configuration has the upstream no more.
  void remove();

  // Until stop().
  awaitable<void> run();
  void stop();

  // News, on this shard: of a job queued in a lane, of one to be tried again, of a slot that came
  // free.
  void inserted(std::uint32_t lane);
  void requeued(std::uint32_t lane, jobs::WallTime due);
  void wake() { news_.notify(); }
  // What attempts found. `hold` 0: probe at our own interval.
  void unavailable(jobs::milliseconds hold);
  void available();
  // A server is up after none was: worth a probe at once.
  void recovered();
  // A job given out as a probe ended without a call.
  void skipped();

  std::uint64_t queued() const;
  // Shows what waits to who asks for metrics.
  void publish() const;
  // When run() went round last.
  TimePoint went_round_at() const { return went_round_at_; }
  bool held() const { return held_; }

 private:
  awaitable<bool> round();
  awaitable<std::optional<std::size_t>> claim(std::size_t lane, std::uint32_t count);
  void take_cursors(std::size_t lane, const std::vector<store::Expire::Cursor>& moved);
  void take(std::vector<jobs::Job> jobs);
  awaitable<bool> end_removed();
  awaitable<void> end_removed(jobs::Job job);
  awaitable<bool> end_overdue();
  awaitable<bool> end_overdue(std::size_t lane);
  std::vector<std::uint32_t> plan(std::uint32_t slots);
  TimePoint next_time() const;
  std::size_t index_of(std::uint32_t lane);

  ShardResources context_;
  Metrics& metrics_;
  TaskGroup& tasks_;
  const std::string upstream_;
  Slots& slots_;
  const Ended ended_;
  const std::size_t shard_;
  Signal news_;
  Runner* runner_ = nullptr;  // null: removed
  jobs::milliseconds connect_{};
  jobs::milliseconds request_retention_{};
  std::vector<std::uint32_t> numbers_;                       // of the lanes, beside lanes_
  std::vector<std::vector<store::Expire::Cursor>> cursors_;  // likewise
  std::vector<jobs::LaneState> lanes_;
  std::vector<jobs::WallTime> oldest_;  // likewise: when the first that waits was accepted, roughly
  std::vector<LaneMetrics*> shown_;     // likewise; the same for lanes of the same priority
  TimePoint went_round_at_{};
  bool stopping_ = false;
  bool held_ = false;
  bool probing_ = false;
  jobs::milliseconds probe_every_{0};
  TimePoint held_until_{};
  TimePoint probe_taken_at_ = never;
  jobs::WallTime looked_at_{};  // the wall clock, once in a round
  TimePoint overdue_at_{};
  TimePoint not_before_{};  // after a claim that failed
};

}  // namespace raincheck::proxy
