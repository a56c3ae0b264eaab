#include "proxy/pinned.hpp"

#include <algorithm>

namespace raincheck::proxy {

std::unique_ptr<UpstreamConnection> IdlePinned::take(const PinnedConnections& client,
                                                     TimePoint now) {
  const auto found = std::find_if(places_.begin(), places_.end(), [&client](const Place& place) {
    return place.client == &client;
  });
  if (found == places_.end()) return nullptr;
  std::unique_ptr<UpstreamConnection> connection = std::move(found->connection);
  places_.erase(found);
  if (!connection->is_fit(now)) return nullptr;
  connection->reused = true;
  connection->begin();
  return connection;
}

void IdlePinned::put(const PinnedConnections& client,
                     std::unique_ptr<UpstreamConnection> connection) {
  places_.push_back(Place{&client, std::move(connection)});
  if (places_.size() > max_) places_.pop_front();
}

void IdlePinned::close(const PinnedConnections& client) {
  places_.remove_if([&client](const Place& place) { return place.client == &client; });
}

void IdlePinned::close_idle(TimePoint now) {
  places_.remove_if([now](const Place& place) { return !place.connection->is_fit(now); });
}

PinnedConnections::~PinnedConnections() {
  for (const auto& idle : kept_at_) idle->close(*this);
}

std::unique_ptr<UpstreamConnection> PinnedConnections::take(IdlePinned& idle, TimePoint now) {
  if (kept_at_.empty()) return nullptr;
  return idle.take(*this, now);
}

void PinnedConnections::keep(const std::shared_ptr<IdlePinned>& idle,
                             std::unique_ptr<UpstreamConnection> connection) {
  if (std::find(kept_at_.begin(), kept_at_.end(), idle) == kept_at_.end()) kept_at_.push_back(idle);
  idle->put(*this, std::move(connection));
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
