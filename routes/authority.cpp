#include "routes/authority.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "routes/characters.hpp"

namespace raincheck::routes {
namespace {

constexpr std::size_t host_bytes_max = 255;

bool is_address(std::string_view text, int family) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  std::array<unsigned char, 16> parsed{};
  if (text.size() >= terminated.size()) return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  return inet_pton(family, terminated.data(), parsed.data()) == 1;
}

bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    return text.ends_with(']') && is_ipv6(text.substr(1, text.size() - 2));
  }
  if (text.empty() || text.size() > host_bytes_max) return false;
  if (!std::all_of(text.begin(), text.end(),
                   [](char c) { return is_character(c, characters::host); })) {
    return false;
  }
  return text.front() != '.' && text.find("..") == std::string_view::npos;
}

}  // namespace

bool is_ipv4(std::string_view text) {
  return is_address(text, AF_INET);
}

bool is_ipv6(std::string_view text) {
  return is_address(text, AF_INET6);
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) {
    return false;
  }
  unsigned port = 0;
  for (const char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  return port != 0 && port <= 65535;
}

std::optional<std::string_view> parse_authority(std::string_view text) {
  const std::string_view host = host_of(text);
  if (!is_host(host)) return std::nullopt;
  if (host.size() == text.size()) return text;
  const std::string_view port = text.substr(host.size() + 1);
  if (port.empty()) return host;
  return is_port(port) ? std::optional(text) : std::nullopt;
}

std::string_view host_of(std::string_view authority) {
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return authority;
  return authority.substr(0, authority.find(':', bracket));
}

}  // namespace raincheck::routes
