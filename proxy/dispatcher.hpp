// Turns one upstream's queued jobs into attempts: which lane is next is jobs::Schedule's to say,
// how many run at once the Slots'. The backlog stays on disk; this holds a few numbers for each
// lane. Jobs of a route that the configuration no longer has end as `route_removed`; a route that
// another upstream has takes its lanes along. While the upstream takes no calls its lanes are held
// back and single jobs are sent as probes, at growing intervals. Owned by the shard that owns the
// upstream, for as long as the process lives.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
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
  // Calls requeued() of the dispatcher of an upstream of the configuration that this one has.
  using Tell = std::function<void(std::size_t upstream, std::uint32_t lane, jobs::WallTime due)>;
  Dispatcher(ShardResources context,
             Metrics& metrics,
             TaskGroup& tasks,
             std::string upstream,
             Slots& slots,
             Ended ended,
             Tell tell,
             std::size_t shard);

  // From now on the upstream is what `site` has at `upstream`, and its jobs are given to `runner`.
  // Before run(), and for each new configuration.
  void configure(const Site& site, std::size_t upstream, Runner& runner);
  // The configuration has the upstream no more.
  void remove(const Site& site);
  // All dispatchers have the configuration: those that have lanes of this one now hear of them.
  void hand_over();

  // Until stop().
  awaitable<void> run();
  void stop();
  // What could not be put back by now is left to the next process.
  void abort();

  // News, on this shard: of a job queued in a lane, of one to be tried again, of a slot that came
  // free. Of a lane that was handed over the new owner is told; too much news does no harm.
  void inserted(std::uint32_t lane);
  void requeued(std::uint32_t lane, jobs::WallTime due);
  void wake() { news_.notify(); }
  // A route was paused, or resumed.
  void pauses_changed();
  // What attempts found. `hold` 0: probe at our own interval.
  void unavailable(jobs::milliseconds hold);
  void available();
  // A server is up after none was: worth a probe at once.
  void recovered();
  // A job given out as a probe ended without a call.
  void skipped();

  std::uint64_t queued() const { return schedule_.count(); }
  // Shows what waits to who asks for metrics.
  void publish() const;
  // When run() went round last.
  TimePoint went_round_at() const { return went_round_at_; }
  bool held() const { return held_; }

 private:
  struct Lane {
    std::uint32_t number = 0;
    std::string route_name;
    const KnownRoute* route = nullptr;  // null: it is not this upstream's
    std::optional<std::size_t> owner;   // then: the upstream that has it, in Config::upstreams
    QueueMetrics* shown = nullptr;      // of all lanes of its route
    jobs::milliseconds patience{};      // how long its jobs may wait for their first attempt
    std::uint64_t looked_to = 0;        // the place of its cursor (store::Expire)
    jobs::WallTime oldest{};            // when the first that waits was accepted, roughly
    std::uint64_t meanwhile = 0;        // queued since the store was asked about it
  };
  // Jobs that are to be claimed; they are counted as waiting no more.
  using Turns = std::vector<jobs::Schedule::Turn>;
  using Claimed = std::optional<std::vector<jobs::Job>>;

  awaitable<bool> round();
  Turns plan(std::uint32_t slots);
  awaitable<Claimed> claim(Turns planned);
  void take(std::vector<jobs::Job> jobs);
  awaitable<void> put_back(jobs::Job job);
  awaitable<bool> end_removed();
  void find_unlooked();
  awaitable<bool> end_overdue();
  awaitable<std::optional<std::size_t>> end(std::vector<std::size_t> lanes, jobs::ErrorType error);
  void learn(std::size_t lane, const store::Claim::Share& share);
  void learn(std::size_t lane, const store::Expire::Share& share);
  void add(const SiteLane& lane);
  void disown_lanes(const Site& site);
  void pass_on(const Lane& lane, jobs::WallTime due) const;
  void set(std::size_t lane, jobs::Schedule::Queue queue);
  void note_removed(std::size_t lane);
  void give_turns();
  TimePoint next_time() const;

  ShardResources context_;
  Metrics& metrics_;
  TaskGroup& tasks_;
  const std::string upstream_;
  Slots& slots_;
  const Ended ended_;
  const Tell tell_;
  const std::size_t shard_;
  Signal news_;
  Runner* runner_ = nullptr;  // null: removed
  jobs::milliseconds connect_{};
  jobs::milliseconds request_retention_{};
  jobs::Schedule schedule_;
  std::vector<Lane> lanes_;  // as in schedule_
  std::unordered_map<std::uint32_t, std::size_t> by_number_;
  std::set<std::size_t> removed_;     // lanes that nobody has, in which jobs wait
  std::deque<std::size_t> unlooked_;  // lanes in which jobs may be overdue, to be looked at now
  TimePoint went_round_at_{};
  bool owners_are_ready_ = false;
  bool stopping_ = false;
  bool aborted_ = false;
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
