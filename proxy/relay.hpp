// Hands a backend's answer, whose head was read, through to a client: streamed, with back-pressure.
// On the shard of both.
#pragma once

#include "proxy/route_call.hpp"
#include "proxy/transaction.hpp"
#include "proxy/upstream_connection.hpp"

namespace raincheck::proxy {

// Its fields are changed as the rules of the route say, if there is one, and those of the
// transaction are added. Afterwards the connection may be released if it is reusable.
awaitable<void> relay(Transaction& transaction, UpstreamConnection& upstream, RouteCall& routed);

// How a call that held its client's connection ended, for the access log.
struct CallEnd {
  const UpstreamConnection* connection = nullptr;  // null: none was made
  jobs::Result<void> done;
  bool client_gone = false;
  const char* reason = nullptr;  // default: what `done` says
  bool is_question = false;      // to an authorization service: the bodies are not its own
};

// The attempt line of a plain call, of a hybrid one that was answered in line, or of a question.
void log_call(Transaction& transaction,
              const config::Upstream& upstream,
              const SiteRoute& route,
              TimePoint began,
              const CallEnd& end);

}  // namespace raincheck::proxy
