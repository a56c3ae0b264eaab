#include "proxy/balance.hpp"

namespace raincheck::proxy {

// Every usable server earns its weight, and the richest pays for all: so the sum stays the same,
// and nobody is chosen twice in a row who has not earned it.
std::optional<std::size_t> next_server(std::span<ServerState> servers) {
  std::optional<std::size_t> best;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    ServerState& server = servers[i];
    if (!server.usable) continue;
    server.credit += server.weight;
    total += server.weight;
    if (!best || server.credit > servers[*best].credit) best = i;
  }
  if (best) servers[*best].credit -= total;
  return best;
}

}  // namespace raincheck::proxy
