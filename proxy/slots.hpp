// How many calls may be in flight to one upstream, or to one server of it, over all shards (P6),
// and whether it is being held back. The one piece of memory that shards share: a counter, because
// every shard's calls count, and a round trip to an owner would cost more than the call's own
// bookkeeping. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "jobs/clock.hpp"

namespace raincheck::proxy {

class Slots {
 public:
  // `wake[i]` is called, from any thread, when a slot came free that shard i wants.
  explicit Slots(std::uint32_t max) : max_(max) {}
  void set_wake(std::vector<std::function<void()>> wake) { wake_ = std::move(wake); }

  bool try_take();
  // Beyond the maximum too: of a call that is at its backend already.
  void take() { taken_.fetch_add(1); }
  // As many as there are, `count` at most.
  std::uint32_t take_up_to(std::uint32_t count);
  void give(std::uint32_t count = 1);
  // Shard `shard` is to be woken when one comes free. Try again afterwards, or a slot given
  // meanwhile is missed.
  void want(std::size_t shard) { wanted_.fetch_or(std::uint64_t{1} << shard); }

  // Wakes the shards that want one.
  void wake();

  // The upstream does not take calls: nothing starts but the dispatcher's probes. Of a server:
  // health checks found it down, and it is not called.
  void hold(bool held) { held_.store(held); }
  bool held() const { return held_.load(std::memory_order_relaxed); }
  // Of an upstream, by an operator: no job of it begins, while plain calls go on.
  void pause(bool paused) { paused_.store(paused); }
  bool paused() const { return paused_.load(std::memory_order_relaxed); }
  // The lanes whose jobs are due and wait for slots: what comes now has its turn after them.
  void set_backlog(std::size_t lanes) { backlog_.store(lanes, std::memory_order_relaxed); }
  std::size_t backlog() const { return backlog_.load(std::memory_order_relaxed); }
  bool has_backlog() const { return backlog() != 0; }
  // Of a server that was down: when it was up again. The beginning of time for one that never was.
  void set_back_at(jobs::TimePoint time) { back_at_ = time; }
  jobs::TimePoint back_at() const { return back_at_.load(std::memory_order_relaxed); }

  std::uint32_t taken() const { return taken_.load(std::memory_order_relaxed); }
  std::uint32_t max() const { return max_.load(std::memory_order_relaxed); }
  // Those that are taken stay taken.
  void set_max(std::uint32_t max);

 private:
  std::atomic<std::uint32_t> max_;
  std::vector<std::function<void()>> wake_;
  std::atomic<std::uint32_t> taken_{0};
  std::atomic<std::uint64_t> wanted_{0};
  std::atomic<bool> held_{false};
  std::atomic<bool> paused_{false};
  std::atomic<std::size_t> backlog_{0};
  std::atomic<jobs::TimePoint> back_at_{jobs::TimePoint()};
};

// A slot that was taken, and is given back at the end of this.
struct GiveSlot {
  void operator()(Slots* slots) const { slots->give(); }
};
using Slot = std::unique_ptr<Slots, GiveSlot>;

// Of the servers of one upstream, in their order.
using ServerSlots = std::vector<std::shared_ptr<Slots>>;
// Of a server whose own limit is `max_concurrency`; 0: it has none.
std::uint32_t slots_of_server(std::uint32_t max_concurrency);

}  // namespace raincheck::proxy
