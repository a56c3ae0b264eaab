// Fuzzes the PROXY header: what is found does not depend on how it arrives or what follows, and an
// address that is told is one.
//
// The first byte chooses the version, the rest is what a connection begins with.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/proxy_header.hpp"
#include "routes/authority.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto version = data[0] % 2 == 0 ? config::ProxyProtocol::v1 : config::ProxyProtocol::v2;
  const std::string_view input = fuzz::rest_of(data, size);
  const proxy::ProxyHeader whole = proxy::parse_proxy_header(version, input);
  const std::size_t steps = std::min(input.size(), proxy::proxy_header_v2_max + 1);
  for (std::size_t end = 0; end <= steps; ++end) {
    const auto piece = fuzz::copy_of(input, end);
    const auto found = proxy::parse_proxy_header(version, {piece.data(), piece.size()});
    if (found.parse == proxy::Parse::more) continue;
    require(found.parse == whole.parse, "one answer however it arrives");
    require(found.size == whole.size && found.address == whole.address, "one header");
    require(found.parse == proxy::Parse::rejected || found.size == end, "no byte too many");
    require(
        found.address.empty() || routes::is_ipv4(found.address) || routes::is_ipv6(found.address),
        "an address");
    return 0;
  }
  require(whole.parse == proxy::Parse::more, "an end");
  require(input.size() < proxy::proxy_header_v2_max, "a header with an end");
  return 0;
}
