// What must be true of jobs, kept beside the proxy while a simulation runs: it is told of every
// commit, every call at the backend, every answer to a client and every crash, and complains when a
// promise is broken. It believes nothing that the proxy says of itself. One thread.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "store/backend.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scripted_upstream.hpp"

namespace raincheck::simulation {

// A job that was committed.
struct KnownJob {
  jobs::JobId id;
  std::string target;
  std::size_t upstream = 0;
  bool again = false;  // may be executed more than once
  bool keyed = false;
  jobs::Digest key{};
  jobs::Digest fingerprint{};
  jobs::WallTime start_by{};
  jobs::WallTime finish_by{};
  jobs::milliseconds retention{};

  jobs::State state = jobs::State::queued;
  std::uint32_t attempt = 0;
  jobs::WallTime due_at{};
  jobs::TimePoint started_at{};
  bool was_requeued = false;
  bool canceled_running = false;
  // When final:
  jobs::ErrorType error = jobs::ErrorType::none;
  jobs::Response response;
  jobs::WallTime expires_at{};
  bool gone = false;

  bool followed = false;                              // where to ask for its result is recorded
  bool unclear = false;                               // a call of it may have been executed
  bool crashed = false;                               // a process ended while it ran
  std::optional<std::pair<int, std::string>> answer;  // of the backend, the last whole one
};

// What the model knows of the upstreams and routes.
struct Rules {
  struct Upstream {
    std::size_t max_concurrency = 0;
    bool drains = false;
    jobs::milliseconds abort_hold{};
  };
  std::vector<Upstream> upstreams;
  // By a target's first part: its upstream, and whether its calls may be executed again.
  struct Route {
    std::size_t upstream = 0;
    bool again = false;
  };
  std::map<std::string, Route> routes;
  // The wall clock runs evenly, so that the memory of slots survives a crash exactly.
  bool even_wall_clock = true;
};

class Model {
 public:
  Model(Rules rules, const test::ManualClock& clock) : rules_(std::move(rules)), clock_(clock) {}

  // A batch became durable; its replies are filled in.
  void committed(std::span<store::Command* const> batch);
  // The backend's side.
  void begun(std::size_t upstream, const test::ScriptedCall& call);
  void ended(std::size_t upstream, const test::ScriptedCall& call);
  // From now on no job of the route begins, or they do again.
  void pause(const std::string& route, bool paused);
  bool is_paused(const std::string& route) const { return paused_.contains(route); }
  // Every process ends here, in order or not.
  void process_ended(bool crashed);

  // Compares every job with what the store gives back.
  void check(store::Backend& backend);
  // Nothing is under way but what waits for time or for the backend.
  void check_calls_are_wanted();

  // Null: no such job was committed.
  const KnownJob* find(const jobs::JobId& id) const;
  const KnownJob* find(const std::string& target) const;
  const std::map<std::int64_t, KnownJob>& jobs() const { return jobs_; }
  std::size_t pending() const;
  std::size_t calls_begun() const { return calls_begun_; }
  std::size_t executions() const { return executions_; }

  void complain(const std::string& what);
  // The first thing that is wrong; empty: nothing.
  const std::string& complaint() const { return complaint_; }
  // For a replay: what happened, in order.
  void note(const std::string& what);
  const std::string& history() const { return history_; }

 private:
  struct Call {
    std::size_t upstream = 0;
    std::int64_t job = 0;
    const test::ScriptedCall* live = nullptr;  // null: given up, and the backend still at it
    jobs::TimePoint busy_until{};
  };

  void apply(const store::Insert& insert);
  void apply(const store::Claim& claim);
  void apply(const store::Expire& expire);
  void apply(const store::Finish& finish);
  void apply(const store::Requeue& requeue);
  void apply(const store::Follow& follow);
  void apply(const store::Cancel& cancel);
  void apply(const store::Erase& erase);
  void apply(const store::Prune& prune);
  void add(const store::Insert& insert);
  void check_first_start(const KnownJob& job);
  void check_not_paused(const KnownJob& job);
  void check_reason(const KnownJob& job, const store::Finish& finish);
  void check_one(const KnownJob& job, const store::Find& found);
  void forget_ended_calls();
  std::size_t followed_beside(const KnownJob& job) const;
  KnownJob* at(const jobs::Place& place);
  KnownJob* latest(const std::string& target);
  void end(KnownJob& job, jobs::State state, jobs::WallTime now, jobs::milliseconds retention);
  void remove(KnownJob& job);

  const Rules rules_;
  const test::ManualClock& clock_;
  std::map<std::int64_t, KnownJob> jobs_;
  std::map<std::string, std::int64_t> by_target_;
  std::map<jobs::Digest, std::int64_t> by_key_;
  std::map<std::uint32_t, std::uint64_t> first_started_;  // by lane, the sequence of the last one
  std::set<std::string> paused_;                          // routes
  std::vector<Call> calls_;
  std::size_t calls_begun_ = 0;
  std::size_t executions_ = 0;
  std::string complaint_;
  std::string history_;
};

// "/unsafe/7" is of "unsafe".
std::string route_of(const std::string& target);
// "/follow/7?result": asks for the result of a call that the backend goes on with.
bool is_question(const std::string& target);

}  // namespace raincheck::simulation
