// Backend connections that belong to one client connection. NTLM and Negotiate authenticate a
// connection, not a request: whoever used it next would be taken for that client. So it is never
// shared: used for that client's further plain calls to the same upstream, and closed with the
// client's connection. Idle it holds no slot. Lives with the client's connection, on its shard.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "proxy/upstream_connection.hpp"

namespace raincheck::proxy {

class PinnedConnections {
 public:
  // The one to that upstream; null if there is none that is fit for another request. It has no slot
  // of its server yet: UpstreamPool::claim().
  std::unique_ptr<UpstreamConnection> take(const config::Upstream& upstream);
  // Takes it back after an exchange, without its slot: kept if it is reusable, else closed.
  void keep(std::unique_ptr<UpstreamConnection> connection);

 private:
  std::vector<std::unique_ptr<UpstreamConnection>> idle_;  // one for each upstream at most
};

// A scheme that authenticates the connection is named in a field: in Authorization of a request, in
// WWW-Authenticate of an answer.
bool names_connection_auth(const Fields& fields, std::string_view field);
// The same of Authorization in a request as jobs keep it: "METHOD target\r\n" and its field lines.
bool has_connection_auth(std::string_view stored);

}  // namespace raincheck::proxy
