// One thread, one io_context, and all that lives on it: listeners, sessions, connections to
// backends, attempts, and the dispatchers of the upstreams that it owns. Shards share the store,
// the slots and a count of jobs; all else between them is messages. Owned by the Server.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/dispatcher.hpp"
#include "proxy/health_checks.hpp"
#include "proxy/listening.hpp"
#include "proxy/services.hpp"
#include "proxy/session.hpp"

namespace raincheck::proxy {

// Open connections of one listener, in all and of each client, over all shards. Any thread.
class ConnectionCounts {
 public:
  explicit ConnectionCounts(const config::ListenerLimits& limits) : limits_(limits) {}

  // False: there are too many. Whose connection it is may be empty until it is known, and is said
  // once then.
  bool add(const std::string& client);
  bool name(const std::string& client);
  // Of a client that add() or name() took; empty: neither did.
  void remove(const std::string& client);
  std::uint32_t open();

 private:
  bool add_to(const std::string& client);

  const config::ListenerLimits& limits_;
  std::mutex mutex_;       // taken when a connection begins and ends, never for a request
  std::uint32_t all_ = 0;  // guarded by mutex_, as by_client_
  std::unordered_map<std::string, std::uint32_t> by_client_;
};

// What the shards share.
struct Shared {
  const Site& site;
  store::Store& store;
  std::vector<std::unique_ptr<Slots>>& slots;                   // of each upstream
  std::vector<ServerSlots>& server_slots;                       // of each upstream
  std::vector<std::unique_ptr<Outliers>>& outliers;             // of each upstream
  std::vector<std::unique_ptr<ConnectionCounts>>& connections;  // of each listener
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
  Shard(std::size_t index, std::size_t count, Shared shared);
  ~Shard();

  // Before start(): knows the others, owns its upstreams.
  void connect(const std::vector<std::unique_ptr<Shard>>& all);
  void add_listener(std::size_t listener, Descriptor socket);

  void start();
  // A slot of an upstream came free that this shard wants. Any thread.
  void wake(std::size_t upstream);
  // Starts a job that an earlier process followed. The caller's slot passes over.
  void resume(std::size_t upstream, jobs::Job job);
  // From any thread; each returns at once.
  void post(std::function<void()> call);
  // No more connections and claims; sessions end after what they are at.
  void begin_drain();
  // Everything still under way is given up.
  void abort_all();
  // Sessions and attempts are over.
  bool is_idle() const { return drain_begun_.load() && tasks_.size() == 0; }
  std::size_t running() const { return running_.load(); }
  // Any thread.
  Progress progress() const { return {loop_at_.load(), dispatchers_at_.load(), store_at_.load()}; }
  void stop();
  void join();

  boost::asio::io_context& io() { return io_; }
  Bulletin& bulletin() { return bulletin_; }

 private:
  struct Listening;
  void wait_to_accept(Listening& listening);
  bool accept(Listening& listening);
  struct OpenSession;
  bool is_proxied(std::size_t listener) const;
  void take(Descriptor socket, std::size_t listener);
  awaitable<void> serve(Descriptor socket, std::size_t listener, std::string peer);
  awaitable<void> prune();
  awaitable<void> watch_counts();
  void watch_progress();
  RunnerEvents events_for(std::size_t upstream, Shard& owner);
  void make_checks(std::size_t upstream);
  void make_upstream(std::size_t upstream, const std::vector<std::unique_ptr<Shard>>& all);

  const std::size_t index_;
  const std::size_t count_;
  Shared shared_;
  boost::asio::io_context io_{1};
  Timers timers_;
  Readiness readiness_;
  Buffers buffers_;
  Warnings warnings_{timers_};
  ShardMetrics metrics_;
  store::Client store_;
  Bulletin bulletin_;
  AccessLog log_;
  Entropy entropy_;
  jobs::IdCodec codec_;
  TaskGroup housekeeping_;
  TaskGroup tasks_;
  std::vector<ShardUpstream> upstreams_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;  // null for an upstream of another shard
  std::vector<std::unique_ptr<HealthChecks>> checks_;  // of upstreams of this shard that have any
  bool draining_ = false;
  bool stopping_ = false;
  Services services_;
  Transactions transactions_;
  std::unordered_set<Session*> sessions_;
  std::vector<std::unique_ptr<Listening>> listening_;
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
