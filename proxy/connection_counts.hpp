// Open connections of one listener, in all and of each client, over all shards. Outlives the
// configurations that have the listener. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "config/config.hpp"

namespace raincheck::proxy {

class ConnectionCounts {
 public:
  explicit ConnectionCounts(const config::ListenerLimits& limits) { set_limits(limits); }
  // Connections that are open stay open.
  void set_limits(const config::ListenerLimits& limits);

  // False: there are too many. Whose connection it is may be empty until it is known, and is said
  // once then.
  bool add(const std::string& client);
  bool name(const std::string& client);
  // Of a client that add() or name() took; empty: neither did.
  void remove(const std::string& client);
  std::uint32_t open();

 private:
  bool add_to(const std::string& client);

  std::mutex mutex_;  // taken when a connection begins and ends, never for a request
  std::uint32_t max_ = 0;
  std::uint32_t max_of_client_ = 0;
  std::uint32_t all_ = 0;
  std::unordered_map<std::string, std::uint32_t> by_client_;
};

}  // namespace raincheck::proxy
