// One thread, one io_context, and all that lives on it: listeners, sessions, the dispatchers of the
// upstreams that it owns, and a ShardGeneration for the configuration that serves, and for earlier
// ones while something of them is under way. Shards share the store, the slots and a count of jobs;
// all else between them is messages. Owned by the Server.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "proxy/dispatcher.hpp"
#include "proxy/listening.hpp"
#include "proxy/shard_generation.hpp"

namespace raincheck::proxy {

// What the shards share.
struct Shared {
  store::Store& store;
  Pending& pending;
  BodyBudgets& bodies;
  Metrics& metrics;
  std::shared_ptr<spdlog::logger> access_logger;
  jobs::IdCodec::Secret secret{};
};

// When a shard was seen to get on with its work last. A part that it has not is always well.
struct Progress {
  TimePoint loop = never;
  TimePoint dispatchers = never;  // the one that is furthest behind
  TimePoint store = never;        // the store's writer answered
};

class Shard {
 public:
  Shard(std::size_t index, std::size_t count, const Shared& shared);
  ~Shard();

  // Before start(): knows the others, itself among them.
  void connect(const std::vector<std::unique_ptr<Shard>>& all);
  void start();
  // From any thread; each returns at once.
  void post(std::function<void()> call);

  // On this shard's thread; every shard prepares a configuration before one serves it.
  void prepare(std::shared_ptr<const Generation> generation);
  // Serves what was prepared. `sockets`: of listeners, by their key, that listen here from now on;
  // those of listeners that the configuration does not have are closed.
  using Sockets = std::vector<std::pair<std::string, ListeningSocket>>;
  void serve_prepared(Sockets sockets);

  // From any thread; each returns at once.

  // A slot of an upstream, by its number, came free that this shard wants.
  void wake(std::size_t upstream);
  // Starts a job that an earlier process followed. The caller's slot passes over. `upstream`: in
  // the configuration that serves.
  void resume(std::size_t upstream, jobs::Job job);
  // No more connections and claims; sessions end after what they are at.
  void begin_drain();
  // Everything still under way is given up.
  void abort_all();
  // A route or an upstream was paused, or resumed.
  void pauses_changed();
  // Runs it here as a task of its own, under the configuration that serves.
  using Work = std::function<awaitable<void>(Services& services)>;
  void operate(Work work);
  // Sessions and attempts are over.
  bool is_idle() const { return drain_begun_.load() && tasks_.size() == 0; }
  std::size_t running() const { return running_.load(); }
  // Any thread.
  Progress progress() const { return {loop_at_.load(), dispatchers_at_.load(), store_at_.load()}; }
  void stop();
  void join();

 private:
  struct Listening;
  struct OpenSession;

  bool owns(std::size_t upstream) const { return upstream % count_ == index_; }
  void tell(std::size_t upstream, ShardParts::DispatcherCall call);
  void configure_dispatchers(const Generation& generation, ShardGeneration& serving);
  std::unique_ptr<Dispatcher> make_dispatcher(const std::string& name, Slots& slots);
  void abort_job(std::int64_t key);
  void pass_on(OpenSession& open);
  template <class F>
  void for_each_generation(F call) const;
  void drop_retired();
  void wait_to_accept(const std::shared_ptr<Listening>& listening);
  bool accept(Listening& listening, int count_max);
  void close(Listening& listening);
  void take(Descriptor socket, std::size_t listener);
  awaitable<void> serve(Descriptor socket, std::size_t listener, std::string peer);
  awaitable<void> prune();
  awaitable<void> watch_counts();
  void watch_progress();

  const std::size_t index_;
  const std::size_t count_;
  boost::asio::io_context io_{1};
  Timers timers_;
  Readiness readiness_;
  Buffers buffers_;
  Warnings warnings_{timers_};
  store::Client store_;
  Bulletin bulletin_;
  Entropy entropy_;
  jobs::IdCodec codec_;
  TaskGroup housekeeping_;
  TaskGroup tasks_;
  bool draining_ = false;
  bool stopping_ = false;
  const std::vector<std::unique_ptr<Shard>>* all_ = nullptr;
  ShardParts parts_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;  // by number; null: of another shard
  std::shared_ptr<ShardGeneration> current_;
  std::shared_ptr<ShardGeneration> prepared_;
  std::vector<std::shared_ptr<ShardGeneration>> retired_;
  std::unordered_set<OpenSession*> sessions_;
  std::vector<std::shared_ptr<Listening>> listening_;
  Signal prune_pause_;
  Signal counts_pause_;
  std::atomic<bool> drain_begun_{false};
  std::atomic<std::size_t> running_{0};
  std::atomic<TimePoint> loop_at_{never};
  std::atomic<TimePoint> dispatchers_at_{never};
  std::atomic<TimePoint> store_at_{never};
  std::optional<boost::asio::executor_work_guard<Executor>> work_;
  std::thread thread_;
};

}  // namespace raincheck::proxy
