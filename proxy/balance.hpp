// Which server of an upstream takes the next call. Pure functions but for the credits of
// next_server(), which an UpstreamPool keeps on its shard. They know nothing of connections.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "config/config.hpp"

namespace raincheck::proxy {

struct ServerState {
  std::uint32_t weight = 1;  // of the configuration, or slow_start_weight() of all servers
  std::uint64_t hash = 0;    // hash_text() of its address
  bool usable = true;        // may be chosen now
  std::uint32_t calls = 0;   // in flight
  std::int64_t credit = 0;   // the memory of next_server(), which starts as it is here
};

// What a weight is made of, so that a server that has just come back can have a part of it.
constexpr std::uint32_t whole_weight = 1000;
// The weight of a server that is back since `back`: linear in time from next to nothing to all of
// `weight` when `slow_start` is over. In parts of whole_weight, never 0. With least_conn a server
// without a call counts as the least busy all the same.
std::uint32_t slow_start_weight(std::uint32_t weight,
                                std::chrono::nanoseconds back,
                                std::chrono::milliseconds slow_start);

// One of the usable servers, as the policy says; nothing when none is. `key` is the hash of what
// the call is to be recognised by; without one, `hash` is round robin.
std::optional<std::size_t> choose_server(config::LbPolicy policy,
                                         std::span<ServerState> servers,
                                         std::optional<std::uint64_t> key);

// Smooth weighted round robin, as nginx does it: each usable server as often as its weight says and
// as evenly spread as can be. The turn is taken: credits change.
std::optional<std::size_t> next_server(std::span<ServerState> servers);

// The one with the fewest calls for its weight; round robin among several.
std::optional<std::size_t> least_busy_server(std::span<ServerState> servers);

// Weighted rendezvous hashing: a key stays with its server whatever happens to the others, and the
// keys of one that is not usable are spread over all that are.
std::optional<std::size_t> server_of_key(std::span<const ServerState> servers, std::uint64_t key);

// The same on every machine and in every version. It does not withstand an enemy: who chooses the
// key chooses the server.
std::uint64_t hash_text(std::string_view text);

}  // namespace raincheck::proxy
