#include "proxy/proxy_header.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace raincheck;
using namespace raincheck::proxy;
using namespace std::string_literals;
using config::ProxyProtocol;

namespace {

const std::string request = "GET / HTTP/1.1\r\n";
const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(char command, char family, const std::string& rest) {
  const std::string length = {static_cast<char>(rest.size() / 256),
                              static_cast<char>(rest.size() % 256)};
  return signature + command + family + length + rest;
}

std::string addresses(const std::string& source, std::size_t size) {
  return source + std::string(size - source.size(), '\x01');
}

// The address that a whole header tells, whatever follows it; no shorter piece of it is one.
std::string told(ProxyProtocol version, const std::string& header) {
  for (std::size_t size = 0; size < header.size(); ++size) {
    CHECK(parse_proxy_header(version, header.substr(0, size)).parse == Parse::more);
  }
  const ProxyHeader alone = parse_proxy_header(version, header);
  const ProxyHeader found = parse_proxy_header(version, header + request);
  REQUIRE(found.parse == Parse::done);
  CHECK(found.size == header.size());
  CHECK(alone.parse == Parse::done);
  CHECK(alone.address == found.address);
  return found.address;
}

bool is_refused(ProxyProtocol version, const std::string& input) {
  return parse_proxy_header(version, input).parse == Parse::rejected;
}

}  // namespace

TEST_CASE("version 1 names the client of either family") {
  const auto v1 = ProxyProtocol::v1;
  CHECK(told(v1, "PROXY TCP4 192.0.2.1 198.51.100.2 65535 0\r\n") == "192.0.2.1");
  CHECK(told(v1, "PROXY TCP6 2001:DB8:0::1 ::1 4711 443\r\n") == "2001:db8::1");
}

TEST_CASE("version 1 may not know its client") {
  CHECK(told(ProxyProtocol::v1, "PROXY UNKNOWN\r\n").empty());
  CHECK(told(ProxyProtocol::v1, "PROXY UNKNOWN what ever 1\r\n").empty());
}

TEST_CASE("version 1 is refused when a byte of it is wrong") {
  for (const std::string line :
       {"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80",
        "proxy TCP4 192.0.2.1 198.51.100.2 4711 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\rX", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.2 4711 80\r\n", "PROXY TCP4 ::1 ::1 4711 80\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 4711 80\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 01 80\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 80\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 80 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 80 9\r\n", "PROXY \r\n", "PROXY UNKNOWNX\r\n",
        "GET / HTTP/1.1\r\n", "\r\n"}) {
    CAPTURE(line);
    const bool is_whole = line.ends_with("\r\n") || line.ends_with("X");
    CHECK(is_refused(ProxyProtocol::v1, line) == is_whole);
  }
  CHECK(is_refused(ProxyProtocol::v1, "PROXY TCP4 192.0.2.1\0 192.0.2.2 1 80\r\n"s));
  CHECK(is_refused(ProxyProtocol::v1, v2(0x21, 0x11, addresses("\xc0\0\2\1"s, 12))));
}

TEST_CASE("version 1 has 107 bytes at most") {
  const std::string begin = "PROXY UNKNOWN ";
  const auto line = [&](std::size_t size) {
    return begin + std::string(size - begin.size() - 2, 'x') + "\r\n";
  };
  CHECK(told(ProxyProtocol::v1, line(107)).empty());
  CHECK(is_refused(ProxyProtocol::v1, line(108)));
  CHECK(is_refused(ProxyProtocol::v1, line(108).substr(0, 107)));
  CHECK(parse_proxy_header(ProxyProtocol::v1, line(108).substr(0, 106)).parse == Parse::more);
}

TEST_CASE("version 2 names the client of either family, and may tell more") {
  const auto two = ProxyProtocol::v2;
  CHECK(told(two, v2(0x21, 0x11, addresses("\xc0\0\2\1"s, 12))) == "192.0.2.1");
  CHECK(told(two, v2(0x21, 0x11, addresses("\xc0\0\2\1"s, 12) + "\4\0\1x"s)) == "192.0.2.1");
  const std::string six = " \1\r\xb8"s + std::string(11, '\0') + "\1";
  CHECK(told(two, v2(0x21, 0x21, addresses(six, 36))) == "2001:db8::1");
}

TEST_CASE("version 2 may be of the balancer itself, or name no address") {
  const auto two = ProxyProtocol::v2;
  CHECK(told(two, v2(0x20, 0x00, "")).empty());
  CHECK(told(two, v2(0x20, 0x11, addresses("\xc0\0\2\1"s, 12))).empty());
  CHECK(told(two, v2(0x20, 0x12, "x")).empty());
  CHECK(told(two, v2(0x21, 0x00, "abc")).empty());
  CHECK(told(two, v2(0x21, 0x31, addresses("/run/x", 216))).empty());
}

TEST_CASE("version 2 is refused when a byte of it is wrong") {
  const auto two = ProxyProtocol::v2;
  const std::string four = addresses("\xc0\0\2\1"s, 12);
  CHECK(is_refused(two, v2(0x22, 0x11, four)));
  CHECK(is_refused(two, v2(0x11, 0x11, four)));
  CHECK(is_refused(two, v2(0x21, 0x12, four)));  // UDP
  CHECK(is_refused(two, v2(0x21, 0x41, four)));
  CHECK(is_refused(two, v2(0x21, 0x11, four.substr(1))));
  CHECK(is_refused(two, v2(0x21, 0x21, addresses("", 35))));
  CHECK(is_refused(two, v2(0x21, 0x31, addresses("", 215))));
  CHECK(is_refused(two, "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"));
  CHECK(is_refused(two, "G"));
  CHECK(is_refused(two, signature.substr(0, 11) + "X"));
}

TEST_CASE("version 2 has 4096 bytes at most") {
  const auto two = ProxyProtocol::v2;
  CHECK(told(two, v2(0x21, 0x00, std::string(4080, 'x'))).empty());
  CHECK(is_refused(two, v2(0x21, 0x00, std::string(4081, 'x')).substr(0, 16)));
  CHECK(is_refused(two, v2(0x20, 0x00, std::string(4081, 'x'))));
}
