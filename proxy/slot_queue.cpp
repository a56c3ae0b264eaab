#include "proxy/services.hpp"

namespace raincheck::proxy {

awaitable<bool> SlotQueue::take(TimePoint deadline, const bool& abandoned, Signal*& waiting) {
  if (waiting_.empty() && slots_.try_take()) co_return true;
  if (waiting_.size() >= waiting_max) co_return false;
  Signal signal(io_, timers_);
  const auto place = waiting_.insert(waiting_.end(), &signal);
  waiting = &signal;
  bool taken = false;
  while (!taken && !abandoned) {
    slots_.want(shard_);
    taken = waiting_.front() == &signal && slots_.try_take();
    if (taken) break;
    const bool woken = co_await signal.wait(deadline);
    if (!woken) break;
  }
  waiting = nullptr;
  waiting_.erase(place);
  // Whoever is first now may find another slot free.
  wake();
  co_return taken;
}

void SlotQueue::wake() {
  if (!waiting_.empty()) waiting_.front()->notify();
}

}  // namespace raincheck::proxy
