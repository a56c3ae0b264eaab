#include "proxy/held_call.hpp"

namespace raincheck::proxy {

awaitable<void> run_held(std::shared_ptr<HeldCall> call) {
  co_await call->exchange->begin();
  call->is_answered = true;
  call->answered.notify();
  co_await call->verdict.wait(never);
  if (!call->job) co_return;
  co_await call->runner->adopt(*call->job, *call->exchange, call->answer, call->began);
}

awaitable<void> outlast(std::shared_ptr<HeldCall> call, ShardUpstream& upstream) {
  const auto hold = upstream.config->abort_hold.value_or(upstream.config->timeouts.attempt);
  Timers& timers = upstream.pool->context().timers;
  co_await call->exchange->settle(timers.now() + hold);
  upstream.slots->give();
}

}  // namespace raincheck::proxy
