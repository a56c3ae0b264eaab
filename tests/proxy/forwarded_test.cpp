#include "proxy/forwarded.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

#include "proxy/request_parser.hpp"

using namespace raincheck::proxy;

namespace {

Identity identity_of(std::string_view client) {
  Identity identity;
  identity.client_address = client;
  identity.scheme = "http";
  identity.host = "public.example";
  identity.pseudonym = "raincheck";
  identity.request_id = "id-1";
  identity.request_id_header = "X-Request-Id";
  identity.forwarded = true;
  return identity;
}

// The Forwarded lines of what a backend gets.
std::string told(const std::string& fields, const Identity& identity) {
  const std::string bytes = "GET /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  RequestParser parser;
  REQUIRE(parser.parse(bytes, {}) == Parse::done);
  std::string lines;
  append_request_fields(lines, parser.head(), identity);
  Fields written;
  written.assign(lines);
  std::string out;
  written.for_each("Forwarded", [&out](std::string_view value) { out.append(value).append("\n"); });
  return out;
}

}  // namespace

TEST_CASE(
    "Forwarded names the client, the host and the protocol, quoted where they are no tokens") {
  Identity identity = identity_of("192.0.2.1");
  CHECK(told("", identity) == "for=192.0.2.1;host=public.example;proto=http\n");
  identity.client_address = "2001:db8::1";
  identity.scheme = "https";
  identity.host = "public.example:8443";
  CHECK(told("", identity) == "for=\"[2001:db8::1]\";host=\"public.example:8443\";proto=https\n");
  identity.client_address = "unix";
  identity.host = "[::1]";
  CHECK(told("", identity) == "for=unknown;host=\"[::1]\";proto=https\n");
  identity.host = "";
  CHECK(told("", identity) == "for=unknown;proto=https\n");
  identity.forwarded = false;
  CHECK(told("", identity) == "");
}

TEST_CASE("a chain is continued in one line if its peer is believed and it is well-formed") {
  const std::string own = "for=192.0.2.1;host=public.example;proto=http";
  struct Case {
    const char* name;
    const char* fields;
    std::string told;
  };
  const Case cases[] = {
      {"one element", "Forwarded: for=1.1.1.1\r\n", "for=1.1.1.1, " + own},
      {"two lines", "Forwarded: for=1.1.1.1;by=_x\r\nforwarded: For=\"[::1]:80\" , for=unknown\r\n",
       "for=1.1.1.1;by=_x, For=\"[::1]:80\" , for=unknown, " + own},
      {"a comma in quotes", "Forwarded: ext=\"a,  b;\\\"c\"\r\n", "ext=\"a,  b;\\\"c\", " + own},
      {"an empty one", "Forwarded:\r\n", own},
      {"an open quote", "Forwarded: for=\"1.1.1.1\r\n", own},
      {"an open quote in the second line", "Forwarded: for=1.1.1.1\r\nForwarded: for=\"x\r\n", own},
      {"no pairs", "Forwarded: 1.1.1.1\r\n", own},
      {"an address without quotes", "Forwarded: for=[::1]\r\n", own},
      {"a space within a pair", "Forwarded: for = 1.1.1.1\r\n", own},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Identity identity = identity_of("192.0.2.1");
    CHECK(told(c.fields, identity) == own + "\n");
    identity.peer_trusted = true;
    CHECK(told(c.fields, identity) == c.told + "\n");
  }
}

TEST_CASE("without the setting Forwarded is passed on from a trusted peer only") {
  Identity identity = identity_of("192.0.2.1");
  identity.forwarded = false;
  CHECK(told("Forwarded: for=1.1.1.1\r\n", identity) == "");
  identity.peer_trusted = true;
  CHECK(told("Forwarded: for=1.1.1.1\r\n", identity) == "for=1.1.1.1\n");
}

TEST_CASE("whatever a trusted peer sends, our element comes last and whole") {
  std::mt19937 random(20240611);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
  constexpr std::string_view alphabet = "for=;,\" \\a1[]:\t";
  std::uniform_int_distribution<std::size_t> letter(0, alphabet.size() - 1);
  const std::string own = "for=192.0.2.1;host=public.example;proto=http\n";
  for (int i = 0; i < 20'000; ++i) {
    std::string value;
    for (std::size_t size = letter(random); size != 0; --size) value += alphabet[letter(random)];
    CAPTURE(value);
    Identity identity = identity_of("192.0.2.1");
    identity.peer_trusted = true;
    const std::string out = told("Forwarded: " + value + "\r\n", identity);
    REQUIRE(out.ends_with(own));
    CHECK(is_forwarded(std::string_view(out).substr(0, out.size() - 1)));
    // Outside of quotes.
    const std::string_view before = std::string_view(out).substr(0, out.size() - own.size());
    CHECK(is_forwarded(before));
  }
}
