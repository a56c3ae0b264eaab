// What a shard has to offer to the sessions on it. A view: owned by the Shard, which outlives them.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "jobs/date.hpp"
#include "proxy/access_log.hpp"
#include "proxy/auth_cache.hpp"
#include "proxy/bulletin.hpp"
#include "proxy/entropy.hpp"
#include "proxy/runner.hpp"
#include "proxy/site.hpp"
#include "proxy/slots.hpp"
#include "proxy/task_group.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

// Calls that hold their client's connection and wait for a slot of an upstream, first come first
// served. Bounded: beyond it the answer is 503.
class SlotQueue {
 public:
  static constexpr std::size_t waiting_max = 1'024;

  SlotQueue(boost::asio::io_context& io, Timers& timers, Slots& slots, std::size_t shard)
      : io_(io), timers_(timers), slots_(slots), shard_(shard) {}

  // True: a slot was taken. False: `deadline` passed, too many wait, or `abandoned` was notified.
  awaitable<bool> take(TimePoint deadline, const bool& abandoned, Signal*& waiting);
  // A slot may have come free.
  void wake();
  bool empty() const { return waiting_.empty(); }

 private:
  boost::asio::io_context& io_;
  Timers& timers_;
  Slots& slots_;
  std::size_t shard_;
  std::list<Signal*> waiting_;
};

// One upstream, as a shard sees it.
struct ShardUpstream {
  const config::Upstream* config = nullptr;
  Slots* slots = nullptr;
  std::unique_ptr<SlotQueue> queue;
  std::unique_ptr<UpstreamPool> pool;
  std::unique_ptr<Runner> runner;
  // Tells the dispatcher, on whatever shard it is, that a job was queued in a lane.
  std::function<void(std::uint32_t lane)> inserted;
};

// Jobs that are not final, over all shards; jobs.max_pending bounds them.
struct Pending {
  std::atomic<std::int64_t> count{0};
};

struct Services {
  ShardContext context;
  const Site& site;
  TaskGroup& tasks;
  Bulletin& bulletin;
  AccessLog& log;
  Entropy& entropy;
  Pending& pending;
  std::vector<ShardUpstream>& upstreams;
  // Tells every shard that a running job was canceled.
  std::function<void(std::int64_t key)> abort_everywhere;
  const bool& draining;
  jobs::HttpDate date{};
  AuthCache allowed{};

  Timers& timers() { return context.timers; }
  store::Client& store() { return context.store; }
  jobs::IdCodec& codec() { return context.codec; }
};

// A job is durable.
inline void count_accepted(Services& services, const SiteRoute& route) {
  services.pending.count.fetch_add(1, std::memory_order_relaxed);
  services.context.metrics.of(&route).accepted.add();
}

}  // namespace raincheck::proxy
