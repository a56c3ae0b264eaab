// A call that runs while its client waits, and becomes a job if it outlives the window. Shared by
// the task that runs it and the transaction that waits. Lives on the shard of both.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/exchange.hpp"
#include "proxy/route_call.hpp"
#include "proxy/services.hpp"

namespace raincheck::proxy {

struct HeldCall {
  HeldCall(Services& services, const SiteRoute& route, const jobs::NewJob& asked)
      : head(asked.head),
        body(asked.body),
        request_id(asked.request_id),
        routed(services.context.warnings, services.site, route, head, request_id, ""),
        answer(services.store(), services.site.config().store.inline_max),
        answered(services.context.io, services.context.timers),
        verdict(services.context.io, services.context.timers) {}

  const std::string head;
  const jobs::Body body;
  const std::string request_id;
  RouteCall routed;
  BodyWriter answer;
  std::unique_ptr<PoolExchange> exchange;
  TimePoint began{};
  Signal answered;  // the head of the answer, or a fault
  bool is_answered = false;
  Signal verdict;  // in line, or a job
  std::optional<jobs::Job> job;
  Runner* runner = nullptr;
};

// Makes the call, and waits for the verdict: a job goes on as the attempt that it is.
awaitable<void> run_held(std::shared_ptr<HeldCall> call);

// A held call that nobody waits for any more keeps its slot until the backend has ended.
awaitable<void> outlast(std::shared_ptr<HeldCall> call, ShardUpstream& upstream);

}  // namespace raincheck::proxy
