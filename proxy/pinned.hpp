// Backend connections that belong to one client connection. NTLM and Negotiate authenticate a
// connection, not a request: whoever used it next would be taken for that client. So it is never
// shared: used for that client's further plain calls to the same upstream, and closed with the
// client's connection, when it was idle for too long, or when others need its place. Idle it holds
// no slot. Lives on a shard.
#pragma once

#include <list>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/upstream_connection.hpp"

namespace raincheck::proxy {

class PinnedConnections;

// The idle ones to one upstream, of all clients. Its UpstreamPool's, and theirs.
class IdlePinned {
 public:
  explicit IdlePinned(std::size_t max) : max_(max) {}

  // Null: the client has none that is fit for another request.
  std::unique_ptr<UpstreamConnection> take(const PinnedConnections& client, TimePoint now);
  // Beyond `max` the one that was idle longest is closed.
  void put(const PinnedConnections& client, std::unique_ptr<UpstreamConnection> connection);
  void close(const PinnedConnections& client);
  // Those that were idle for too long.
  void close_idle(TimePoint now);
  void close_all() { places_.clear(); }
  std::size_t size() const { return places_.size(); }

 private:
  struct Place {
    const PinnedConnections* client;
    std::unique_ptr<UpstreamConnection> connection;
  };

  const std::size_t max_;
  std::list<Place> places_;  // the longest idle first
};

// Those of one client. Lives with its connection.
class PinnedConnections {
 public:
  PinnedConnections() = default;
  ~PinnedConnections();
  PinnedConnections(const PinnedConnections&) = delete;
  PinnedConnections& operator=(const PinnedConnections&) = delete;

  // Null: there is none that is fit for another request. It has no slot of its server yet:
  // UpstreamPool::claim().
  std::unique_ptr<UpstreamConnection> take(IdlePinned& idle, TimePoint now);
  // Without its slot.
  void keep(const std::shared_ptr<IdlePinned>& idle,
            std::unique_ptr<UpstreamConnection> connection);

 private:
  std::vector<std::shared_ptr<IdlePinned>> kept_at_;
};

// A scheme that authenticates the connection is named in a field: in Authorization of a request, in
// WWW-Authenticate of an answer.
bool names_connection_auth(const Fields& fields, std::string_view field);
// The same of Authorization in a request as jobs keep it: "METHOD target\r\n" and its field lines.
bool has_connection_auth(std::string_view stored);

}  // namespace raincheck::proxy
