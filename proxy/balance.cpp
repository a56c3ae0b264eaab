#include "proxy/balance.hpp"

#include <algorithm>
#include <cmath>

#include "jobs/mix.hpp"

namespace raincheck::proxy {

using jobs::mix;

namespace {

// Fewer calls for its weight; no division, so that equal is equal.
bool is_less_busy(const ServerState& a, const ServerState& b) {
  return std::uint64_t{a.calls} * b.weight < std::uint64_t{b.calls} * a.weight;
}

// The greatest wins: as often as the weight says, if hashes are uniform (Schindelhauer and
// Schomaker, 2005).
double score(const ServerState& server, std::uint64_t key) {
  constexpr double step = 0x1p-53;
  const double uniform = (static_cast<double>(mix(key ^ server.hash) >> 11) + 0.5) * step;
  return server.weight / -std::log(uniform);
}

// Every server that may be called earns its weight, and the richest pays for all: so the sum stays
// the same, and nobody is chosen twice in a row who has not earned it.
template <class P>
std::optional<std::size_t> take_turn(std::span<ServerState> servers, P may_be_called) {
  std::optional<std::size_t> best;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    ServerState& server = servers[i];
    if (!may_be_called(server)) continue;
    server.credit += server.weight;
    total += server.weight;
    if (!best || server.credit > servers[*best].credit) best = i;
  }
  if (best) servers[*best].credit -= total;
  return best;
}

}  // namespace

std::uint32_t slow_start_weight(std::uint32_t weight,
                                std::chrono::nanoseconds back,
                                std::chrono::milliseconds slow_start) {
  const std::uint32_t all = weight * whole_weight;
  // One that is left out still is asked when there is no other.
  if (back.count() < 0 || back >= slow_start) return all;
  const double part = std::chrono::duration<double>(back) / slow_start;
  return std::max(static_cast<std::uint32_t>(part * all), std::uint32_t{1});
}

std::optional<std::size_t> choose_server(config::LbPolicy policy,
                                         std::span<ServerState> servers,
                                         std::optional<std::uint64_t> key) {
  switch (policy) {
    case config::LbPolicy::round_robin:
      break;
    case config::LbPolicy::least_conn:
      return least_busy_server(servers);
    case config::LbPolicy::hash:
      if (key) return server_of_key(servers, *key);
      break;
  }
  return next_server(servers);
}

std::optional<std::size_t> next_server(std::span<ServerState> servers) {
  return take_turn(servers, [](const ServerState& server) { return server.usable; });
}

std::optional<std::size_t> least_busy_server(std::span<ServerState> servers) {
  const ServerState* least = nullptr;
  for (const ServerState& server : servers) {
    if (server.usable && (!least || is_less_busy(server, *least))) least = &server;
  }
  if (!least) return std::nullopt;
  const ServerState bound = *least;
  return take_turn(servers, [&bound](const ServerState& server) {
    return server.usable && !is_less_busy(bound, server);
  });
}

std::optional<std::size_t> server_of_key(std::span<const ServerState> servers, std::uint64_t key) {
  std::optional<std::size_t> best;
  double best_score = 0;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (!servers[i].usable) continue;
    const double own = score(servers[i], key);
    if (best && own <= best_score) continue;
    best = i;
    best_score = own;
  }
  return best;
}

// FNV-1a, and its bits mixed, for it leaves the upper ones of short texts alike.
std::uint64_t hash_text(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mix(hash);
}

}  // namespace raincheck::proxy
