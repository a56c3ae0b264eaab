#include "proxy/pinned.hpp"

#include <algorithm>

namespace raincheck::proxy {

std::unique_ptr<UpstreamConnection> PinnedConnections::take(const config::Upstream& upstream) {
  const auto found = std::find_if(idle_.begin(), idle_.end(), [&upstream](const auto& connection) {
    return &connection->upstream() == &upstream;
  });
  if (found == idle_.end()) return nullptr;
  std::unique_ptr<UpstreamConnection> connection = std::move(*found);
  idle_.erase(found);
  if (!connection->connection().is_quiet()) return nullptr;
  connection->reused = true;
  connection->begin();
  return connection;
}

void PinnedConnections::keep(std::unique_ptr<UpstreamConnection> connection) {
  if (!connection->reusable()) return;
  connection->slot.reset();
  connection->input().release();
  idle_.push_back(std::move(connection));
}

bool names_connection_auth(const Fields& fields, std::string_view field) {
  bool found = false;
  // Several challenges may stand in one field.
  fields.for_each_element(field, [&found](std::string_view element) {
    const std::string_view scheme = element.substr(0, element.find_first_of(" \t"));
    found = found || is_same_name(scheme, "NTLM") || is_same_name(scheme, "Negotiate");
  });
  return found;
}

// Looks at lines, and takes apart the one that matters: every call comes by here.
bool has_connection_auth(std::string_view stored) {
  constexpr std::string_view name = "Authorization:";
  for (std::size_t end = stored.find("\r\n"); end != stored.npos; end = stored.find("\r\n")) {
    stored.remove_prefix(end + 2);
    if (!is_same_name(stored.substr(0, name.size()), name)) continue;
    Fields fields;
    fields.assign(stored.substr(0, stored.find("\r\n")));
    if (names_connection_auth(fields, "Authorization")) return true;
  }
  return false;
}

}  // namespace raincheck::proxy
