#include "proxy/upstream.hpp"

namespace raincheck::proxy {

jobs::Outcome outcome_of(const Reply& reply, jobs::WallTime now) {
  jobs::Outcome outcome;
  outcome.fault = reply.fault;
  outcome.status = reply.status;
  outcome.sent = reply.sent;
  outcome.rejected = !reply.rejected.empty();
  outcome.astray = reply.astray;
  if (!reply.retry_after.empty()) {
    outcome.retry_after = jobs::parse_retry_after(reply.retry_after, now);
  }
  return outcome;
}

}  // namespace raincheck::proxy
