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
  const TimePoint limit = upstream.pool->context().timers.now() + upstream.config->hold();
  co_await call->exchange->settle(limit);
  upstream.slots->give();
}

}  // namespace raincheck::proxy
