// A proxy without threads, listeners and connections to backends: the real store, site, shards'
// parts, sessions, runners and dispatchers, put together as Server and Shard do, driven step by
// step by a test under a manual clock. Everything happens on the test's thread, within a call that
// the test makes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "proxy/dispatcher.hpp"
#include "proxy/recovery.hpp"
#include "proxy/services.hpp"
#include "proxy/session.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scripted_upstream.hpp"

namespace raincheck::test {

struct ProcessParts {
  config::Config config;
  std::string directory;  // of the store
  std::size_t shards = 1;
  ManualClock* clock = nullptr;
  // The backend of an upstream.
  std::function<ScriptedPeer&(std::size_t upstream)> peer;
  // May put something between the store and its backend.
  std::function<std::unique_ptr<store::Backend>(std::unique_ptr<store::Backend>)> wrap;
};

class Process;

class TestShard {
 public:
  TestShard(Process& process, std::size_t index);

  void connect();
  void wake(std::size_t upstream);
  void resume(std::size_t upstream, jobs::Job job);
  void serve(proxy::Descriptor socket);
  void drain();
  void give_up();

  boost::asio::io_context& io() { return io_; }
  proxy::Timers& timers() { return timers_; }
  store::Client& store() { return store_; }
  proxy::Bulletin& bulletin() { return bulletin_; }
  proxy::TaskGroup& tasks() { return tasks_; }
  proxy::Services& services() { return serving_->services; }
  proxy::Runner& runner(std::size_t upstream) { return *upstreams_[upstream].runner; }
  // Null for an upstream of another shard.
  proxy::Dispatcher* dispatcher(std::size_t upstream) { return dispatchers_[upstream].get(); }
  std::size_t running() const;
  bool is_idle() const { return tasks_.size() == 0; }
  // Runs one handler, or all that are ready.
  bool poll_one() { return io_.poll_one() != 0; }
  bool poll() { return io_.poll() != 0; }

 private:
  proxy::RunnerEvents events_for(std::size_t upstream);
  proxy::Dispatcher::Tell tell_lane();
  void make_upstream(std::size_t upstream);
  proxy::awaitable<void> session(proxy::Descriptor socket);

  Process& process_;
  const std::size_t index_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<proxy::Executor> work_{io_.get_executor()};
  proxy::Timers timers_;
  proxy::Readiness readiness_;
  proxy::Buffers buffers_;
  proxy::Warnings warnings_{timers_};
  proxy::ShardMetrics metrics_;
  store::Client store_;
  proxy::Bulletin bulletin_;
  proxy::AccessLog log_;
  proxy::Entropy entropy_;
  jobs::IdCodec codec_;
  proxy::TaskGroup tasks_;
  std::vector<std::unique_ptr<ScriptedUpstream>> scripted_;
  std::vector<proxy::ShardUpstream> upstreams_;
  std::vector<std::unique_ptr<proxy::Dispatcher>> dispatchers_;
  bool draining_ = false;
  std::shared_ptr<proxy::Serving> serving_;
  std::unordered_set<proxy::Session*> sessions_;
};

class Process {
 public:
  // Opens the store, recovers its jobs and starts the dispatchers.
  explicit Process(ProcessParts parts);
  // Ends like a second signal: everything under way is given up first.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Single steps; true if there was something to do. run() makes all of them until there is not.
  bool commit() { return store_->commit_group(); }
  bool read() { return store_->read_group(); }
  bool file_work() { return store_->file_work(); }
  void run_due();
  bool step();
  void run();
  // Moves the clock, then runs.
  void advance(jobs::milliseconds time);

  // One end of a connection; the other is a session on `shard`.
  int connect(std::size_t shard = 0);
  // A job, as a submission makes it, but without a client: at once running if there is a slot.
  // Nothing: it was refused.
  std::optional<jobs::JobId> submit(std::string_view route,
                                    std::string_view method,
                                    std::string_view target,
                                    std::size_t shard = 0);
  // As a client's DELETE does.
  store::Cancel cancel(const jobs::JobId& id, std::size_t shard = 0);
  jobs::Job find(const jobs::JobId& id);

  // In order: sessions and attempts end by themselves within `patience`, then they are given up.
  void stop(jobs::milliseconds patience);

  ManualClock& clock() { return *parts_.clock; }
  const proxy::Site& site() const { return *site_; }
  store::Store& store() { return *store_; }
  std::size_t shard_count() const { return shards_.size(); }
  TestShard& shard(std::size_t index = 0) { return *shards_[index]; }
  proxy::Slots& slots(std::size_t upstream = 0) { return *slots_[upstream]; }
  proxy::Dispatcher& dispatcher(std::size_t upstream = 0);
  // Gives all dispatchers another configuration, which has the same upstreams.
  void configure(const proxy::Site& next);
  void pause_route(std::string_view route, bool paused);
  std::int64_t pending() const { return pending_.count; }
  const proxy::Recovered& recovered() const { return recovered_; }

 private:
  friend class TestShard;

  void recover();
  void end_tasks();

  ProcessParts parts_;
  std::unique_ptr<store::Store> store_;
  proxy::KnownRoutes routes_;
  std::unique_ptr<proxy::Site> site_;
  std::vector<std::unique_ptr<proxy::Slots>> slots_;
  std::vector<proxy::ServerSlots> server_slots_;
  std::vector<std::unique_ptr<proxy::Outliers>> outliers_;
  proxy::Pending pending_;
  proxy::Metrics metrics_;
  proxy::BodyBudgets bodies_{config::Config{}};
  proxy::Recovered recovered_;
  std::vector<std::unique_ptr<TestShard>> shards_;
};

}  // namespace raincheck::test
