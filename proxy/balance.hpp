// Which server of an upstream takes the next call: smooth weighted round robin, as nginx does it.
// Owned by an UpstreamPool, used on its shard. It knows nothing of connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace raincheck::proxy {

struct ServerState {
  std::uint32_t weight = 1;
  bool usable = true;       // may be chosen now
  std::int64_t credit = 0;  // the memory of next_server(), which starts as it is here
};

// One of the usable servers, each as often as its weight says and as evenly spread as can be;
// nothing when none is. The turn is taken: credits change.
std::optional<std::size_t> next_server(std::span<ServerState> servers);

}  // namespace raincheck::proxy
