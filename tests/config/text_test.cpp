#include "config/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace raincheck::config;

TEST_CASE("a duration needs units, the largest first, each once") {
  const struct {
    std::string_view text;
    std::int64_t expected;
  } good[] = {
      {"0s", 0},
      {"0ms", 0},
      {"500ms", 500},
      {"30s", 30'000},
      {"1h30m", 5'400'000},
      {"1d", 86'400'000},
      {"1d2h3m4s5ms", 93'784'005},
      {"90m", 5'400'000},
      {"1m5ms", 60'005},
      {"3650d", 315'360'000'000},
  };
  for (const auto& c : good) {
    CAPTURE(c.text);
    const auto duration = parse_duration(c.text);
    REQUIRE(duration);
    CHECK(duration->count() == c.expected);
    CHECK(parse_duration(format_duration(*duration))->count() == c.expected);
  }
  const struct {
    std::string_view text;
    std::string_view why;
  } bad[] = {
      {"", "must be a duration such as '30s' or '1h30m', not ''"},
      {"5", "needs a unit: write '5s', not '5'"},
      {"1h30", "must be a duration such as '30s' or '1h30m', not '1h30'"},
      {"s", "must be a duration such as '30s' or '1h30m', not 's'"},
      {"-5s", "must be a duration such as '30s' or '1h30m', not '-5s'"},
      {"1.5s", "must be a duration such as '30s' or '1h30m', not '1.5s'"},
      {"5 s", "must be a duration such as '30s' or '1h30m', not '5 s'"},
      {"5S", "must be a duration such as '30s' or '1h30m', not '5S'"},
      {"5sec", "must be a duration such as '30s' or '1h30m', not '5sec'"},
      {"30m1h", "must be a duration such as '30s' or '1h30m', not '30m1h'"},
      {"1s1s", "must be a duration such as '30s' or '1h30m', not '1s1s'"},
      {"3651d", "'3651d' is longer than ten years"},
      {"3650d1ms", "'3650d1ms' is longer than ten years"},
      {"99999999999999999999h", "'99999999999999999999h' is longer than ten years"},
      {"9223372036854775807d", "'9223372036854775807d' is longer than ten years"},
  };
  for (const auto& c : bad) {
    CAPTURE(c.text);
    const auto duration = parse_duration(c.text);
    REQUIRE_FALSE(duration);
    CHECK(duration.why() == c.why);
  }
}

TEST_CASE("a duration is written as people write it") {
  CHECK(format_duration(milliseconds(0)) == "0s");
  CHECK(format_duration(milliseconds(500)) == "500ms");
  CHECK(format_duration(milliseconds(1'500)) == "1s500ms");
  CHECK(format_duration(milliseconds(60'000)) == "60s");
  CHECK(format_duration(milliseconds(75'000)) == "75s");
  CHECK(format_duration(milliseconds(600'000)) == "10m");
  CHECK(format_duration(milliseconds(3'600'000)) == "1h");
  CHECK(format_duration(milliseconds(86'400'000)) == "24h");
}

TEST_CASE("a size needs a unit") {
  const struct {
    std::string_view text;
    std::uint64_t expected;
  } good[] = {{"0B", 0},           {"100B", 100},         {"1KB", 1'000},
              {"512KiB", 524'288}, {"10MiB", 10'485'760}, {"1GB", 1'000'000'000},
              {"1GiB", gib},       {"1TiB", 1024 * gib},  {"8388607TiB", gib * 1024 * 8388607}};
  for (const auto& c : good) {
    CAPTURE(c.text);
    const auto size = parse_size(c.text);
    REQUIRE(size);
    CHECK(*size == c.expected);
    CHECK(*parse_size(format_size(*size)) == c.expected);
  }
  const struct {
    std::string_view text;
    std::string_view why;
  } bad[] = {
      {"", "must be a size such as '10MiB' or '512KiB', not ''"},
      {"MiB", "must be a size such as '10MiB' or '512KiB', not 'MiB'"},
      {"10", "needs a unit: write '10B' or '10MiB', not '10'"},
      {"10M", "has no unit 'M': use B, KiB, MiB, GiB, KB, MB or GB"},
      {"10mib", "has no unit 'mib': use B, KiB, MiB, GiB, KB, MB or GB"},
      {"1.5MiB", "has no unit '.5MiB': use B, KiB, MiB, GiB, KB, MB or GB"},
      {"8388608TiB", "'8388608TiB' is too large"},
      {"99999999999999999999B", "'99999999999999999999B' is too large"},
  };
  for (const auto& c : bad) {
    CAPTURE(c.text);
    const auto size = parse_size(c.text);
    REQUIRE_FALSE(size);
    CHECK(size.why() == c.why);
  }
}

TEST_CASE("a number is decimal digits only") {
  CHECK(*parse_number("0") == 0);
  CHECK(*parse_number("18446744073709551615") == 18446744073709551615U);
  for (const std::string_view text : {"", "-1", "+1", "017", "0x10", "1_000", "1e3", "1.0", " 1",
                                      "18446744073709551616", "one"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number(text));
  }
}

TEST_CASE("statuses are one or a range") {
  CHECK(parse_statuses("200-399")->last == 399);
  CHECK(parse_statuses("204")->first == 204);
  CHECK(parse_statuses("204")->last == 204);
  for (const std::string_view text :
       {"", "-", "199", "600", "399-200", "200-", "-200", "200-600", "200-300-400", "2xx"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_statuses(text));
  }
}

TEST_CASE("an origin is scheme, host and port, and nothing else") {
  const struct {
    std::string_view url;
    std::string_view host;
    int port;
    std::string_view authority;
  } good[] = {
      {"http://backend", "backend", 80, "backend"},
      {"http://Backend.Example:8080", "backend.example", 8080, "backend.example:8080"},
      {"http://10.0.0.1:80", "10.0.0.1", 80, "10.0.0.1"},
      {"http://[::1]", "::1", 80, "[::1]"},
      {"http://[FE80::1]:65535", "fe80::1", 65535, "[fe80::1]:65535"},
      {"http://a_b-c:1", "a_b-c", 1, "a_b-c:1"},
      {"https://backend", "backend", 443, "backend"},
      {"https://backend:443", "backend", 443, "backend"},
      {"https://[::1]:80", "::1", 80, "[::1]:80"},
  };
  for (const auto& c : good) {
    CAPTURE(c.url);
    const auto origin = parse_origin(c.url);
    REQUIRE(origin);
    CHECK(origin->host == c.host);
    CHECK(origin->is_tls == c.url.starts_with("https"));
    CHECK(origin->port == c.port);
    CHECK(origin->authority == c.authority);
  }
  const struct {
    std::string_view url;
    std::string_view why;
  } bad[] = {
      {"backend:80", "'backend:80' does not begin with 'http://' or 'https://'"},
      {"https://", "'https://' names no host"},
      {"http://", "'http://' names no host"},
      {"http://:80", "'http://:80' names no host"},
      {"http://a/", "'http://a/' has a path, which a server cannot have: '/'"},
      {"http://a/b?c", "'http://a/b?c' has a path, which a server cannot have: '/b?c'"},
      {"http://user:secret@a", "'http://...' holds a user name"},
      {"http://a:0", "'http://a:0' has no valid port"},
      {"http://a:65536", "'http://a:65536' has no valid port"},
      {"http://a:", "'http://a:' has no valid port"},
      {"http://a:b", "'http://a:b' has no valid port"},
      {"http://[::1", "'http://[::1' names no host"},
      {"http://[::1]80", "'http://[::1]80' names no host"},
      {"http://[a]", "'http://[a]' has no valid host"},
      {"http://-a", "'http://-a' has no valid host"},
      {"http://a b", "'http://a b' has no valid host"},
  };
  for (const auto& c : bad) {
    CAPTURE(c.url);
    const auto origin = parse_origin(c.url);
    REQUIRE_FALSE(origin);
    CHECK(origin.why().substr(0, c.why.size()) == c.why);
  }
}

TEST_CASE("a listener's address is an IP address and port, a socket file, or a passed one") {
  CHECK(parse_listen_address("0.0.0.0:8080")->host == "0.0.0.0");
  CHECK(parse_listen_address("[::]:0")->host == "::");
  CHECK(parse_listen_address("127.0.0.1:65535")->port == 65535);
  CHECK(parse_listen_address("unix:/run/x.sock")->socket_path == "/run/x.sock");
  CHECK(parse_listen_address("unix:/" + std::string(106, 'x')));
  CHECK(parse_listen_address("systemd:http")->passed_name == "http");
  CHECK(parse_listen_address("systemd:" + std::string(255, 'x')));
  CHECK_FALSE(parse_listen_address("systemd:" + std::string(256, 'x')));
  CHECK_FALSE(parse_listen_address("unix:/" + std::string(107, 'x')));
  for (const std::string_view text :
       {"", "8080", ":8080", "localhost:8080", "127.0.0.1", "::1:80", "[::1]", "127.0.0.1:65536",
        "127.0.0.1:080", "unix:x", "unix:", "systemd:", "systemd:a:b", "systemd:a b",
        "1.2.3.4:80/x"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_listen_address(text));
  }
}

TEST_CASE("a network holds the addresses of its prefix and no others") {
  const struct {
    std::string_view network;
    std::string_view address;
    bool contains;
  } cases[] = {
      {"127.0.0.0/8", "127.1.2.3", true},
      {"127.0.0.0/8", "128.0.0.0", false},
      {"10.0.0.0/9", "10.127.0.1", true},
      {"10.0.0.0/9", "10.128.0.1", false},
      {"192.168.1.7", "192.168.1.7", true},
      {"192.168.1.7", "192.168.1.6", false},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::1/128", "::1", true},
      {"::1", "::2", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::/0", "1.2.3.4", true},
      {"127.0.0.0/8", "::ffff:127.0.0.1", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.network);
    CAPTURE(c.address);
    const auto network = parse_network(c.network);
    REQUIRE(network);
    CHECK(network->contains(*parse_ip(c.address)) == c.contains);
  }
  for (const std::string_view text : {"", "/8", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0/8",
                                      "::1/64", "10.0.0.0/", "10.0.0.0/-1", "localhost"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_network(text));
  }
}
