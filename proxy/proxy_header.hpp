// The PROXY header that a load balancer puts before the first request of a connection, to say whose
// connection it passes on (HAProxy's PROXY protocol, versions 1 and 2). Strict: what is not exactly
// such a header of the version that is expected is rejected, as soon as it can be told. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/request_parser.hpp"

namespace raincheck::proxy {

// Longer ones are rejected: 107 bytes is the longest that version 1 allows; version 2 needs up to
// 232 for its addresses, and the rest is for what else it tells.
constexpr std::size_t proxy_header_v1_max = 107;
constexpr std::size_t proxy_header_v2_max = 4096;

struct ProxyHeader {
  Parse parse = Parse::more;
  std::size_t size = 0;  // done: so many bytes of the input are the header
  // done: of the client, an IP address in its usual form. Empty: the header names none (LOCAL,
  // UNKNOWN, a unix socket), and the client is whoever is connected.
  std::string address;
};

// The header at the beginning of `input`, which may hold more. `version` is not `none`.
ProxyHeader parse_proxy_header(config::ProxyProtocol version, std::string_view input);

}  // namespace raincheck::proxy
