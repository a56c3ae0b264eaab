#include "proxy/proxy_header.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "routes/authority.hpp"

namespace raincheck::proxy {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view v1_begin = "PROXY ";
constexpr std::string_view v2_begin = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t v2_fixed = 16;  // signature, command, family, length

ProxyHeader rejected() {
  return {Parse::rejected, 0, ""};
}

// What was received so far is as it must be.
bool begins(std::string_view input, std::string_view expected) {
  const std::size_t size = std::min(input.size(), expected.size());
  return input.substr(0, size) == expected.substr(0, size);
}

// The address of so many bytes in its usual form.
std::string text_of(int family, const char* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, bytes, text.data(), text.size());
  return text.data();
}

// Takes what stands before the next space, which is the end of the line for the last.
std::string_view take_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

bool is_port(std::string_view text) {
  return text == "0" || (!text.starts_with('0') && routes::is_port(text));
}

// "TCP4 192.0.2.1 192.0.2.2 4711 80", "UNKNOWN" and anything.
ProxyHeader parse_v1_line(std::string_view line, std::size_t size) {
  const std::string_view all = line;
  const std::string_view protocol = take_word(line);
  if (protocol == "UNKNOWN") return {Parse::done, size, ""};
  const bool is_v4 = protocol == "TCP4";
  if ((!is_v4 && protocol != "TCP6") || all.find('\0') != all.npos) return rejected();
  const auto is_address = is_v4 ? routes::is_ipv4 : routes::is_ipv6;
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  const std::string_view source_port = take_word(line);
  const std::string_view destination_port = take_word(line);
  if (!is_address(source) || !is_address(destination) || !is_port(source_port) ||
      !is_port(destination_port) || !line.empty() || all.ends_with(' ')) {
    return rejected();
  }
  const int family = is_v4 ? AF_INET : AF_INET6;
  std::array<char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(family, std::string(source).c_str(), bytes.data()) != 1) return rejected();
  return {Parse::done, size, text_of(family, bytes.data())};
}

ProxyHeader parse_v1(std::string_view input) {
  if (!begins(input, v1_begin)) return rejected();
  const std::string_view line = input.substr(0, proxy_header_v1_max);
  const std::size_t end = line.find('\r');
  if (end == line.npos || end + 1 == input.size()) {
    return line.size() == proxy_header_v1_max ? rejected() : ProxyHeader{};
  }
  if (end + 1 == line.size() || line[end + 1] != '\n') return rejected();
  return parse_v1_line(line.substr(0, end).substr(v1_begin.size()), end + 2);
}

// What version 2 says of the addresses that follow.
struct Family {
  unsigned char code;
  std::size_t size;  // of both addresses and ports
  int address;       // AF_UNSPEC: none that a client could have
};
constexpr std::array<Family, 4> families = {{
    {0x00, 0, AF_UNSPEC},
    {0x11, 12, AF_INET},    // TCP over IPv4
    {0x21, 36, AF_INET6},   // TCP over IPv6
    {0x31, 216, AF_UNSPEC}  // unix stream
}};

ProxyHeader parse_v2(std::string_view input) {
  constexpr unsigned char local = 0x20;
  constexpr unsigned char proxied = 0x21;
  if (!begins(input, v2_begin)) return rejected();
  const auto byte = [input](std::size_t at) { return static_cast<unsigned char>(input[at]); };
  if (input.size() > 12 && byte(12) != local && byte(12) != proxied) return rejected();
  if (input.size() < v2_fixed) return {};
  const std::size_t size = v2_fixed + byte(14) * std::size_t{256} + byte(15);
  const auto* const family =
      std::find_if(families.begin(), families.end(),
                   [&byte](const Family& each) { return each.code == byte(13); });
  // A LOCAL connection is the balancer's own, whatever it says of addresses.
  const bool is_local = byte(12) == local;
  if (size > proxy_header_v2_max) return rejected();
  if (!is_local && (family == families.end() || size < v2_fixed + family->size)) return rejected();
  if (input.size() < size) return {};
  if (is_local || family->address == AF_UNSPEC) return {Parse::done, size, ""};
  return {Parse::done, size, text_of(family->address, input.data() + v2_fixed)};
}

}  // namespace

ProxyHeader parse_proxy_header(config::ProxyProtocol version, std::string_view input) {
  return version == config::ProxyProtocol::v1 ? parse_v1(input) : parse_v2(input);
}

}  // namespace raincheck::proxy
