// host[:port] and what it is made of, stricter than RFC 3986, which would let lists and escapes
// pass for names. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

namespace raincheck::routes {

bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);  // without brackets
bool is_port(std::string_view text);  // 1 to 65535

// host[:port] as it may stand in Host: a name, an IPv4 or a bracketed IPv6 address, without a user.
// An empty port is cut off.
std::optional<std::string_view> parse_authority(std::string_view text);

// Without its port; an IPv6 address keeps its brackets.
std::string_view host_of(std::string_view authority);

}  // namespace raincheck::routes
