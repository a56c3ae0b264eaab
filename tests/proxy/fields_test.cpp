#include "proxy/fields.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/request_parser.hpp"
#include "proxy/response_parser.hpp"

using namespace raincheck::proxy;

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

// A parser and the bytes that its head looks into.
struct Request {
  explicit Request(const std::string& fields, const char* version = "1.1")
      : bytes("GET /x HTTP/"s + version + "\r\nHost: a\r\n" + fields + "\r\n") {
    REQUIRE(parser.parse(bytes, {}) == Parse::done);
  }
  const RequestHead& head() const { return parser.head(); }

  std::string bytes;
  RequestParser parser;
};

Identity identity_of(std::string_view client, bool trusted) {
  Identity identity;
  identity.client_address = client;
  identity.peer_trusted = trusted;
  identity.scheme = "http";
  identity.host = "public.example";
  identity.pseudonym = "raincheck";
  identity.request_id = "id-1";
  identity.request_id_header = "X-Request-Id";
  return identity;
}

std::string forwarded(const std::string& fields, bool trusted = false) {
  const Request request(fields);
  std::string out;
  append_request_fields(out, request.head(), identity_of("192.0.2.1", trusted));
  return out;
}

const std::string own =
    "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: public.example\r\n"
    "Via: 1.1 raincheck\r\nX-Request-Id: id-1\r\n";

std::string answered(const std::string& fields) {
  const std::string bytes = "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
  ResponseParser parser;
  REQUIRE(parser.parse(bytes, 64 * 1024, false, false) == Parse::done);
  std::string out;
  append_response_fields(out, parser.head());
  return out;
}

}  // namespace

TEST_CASE("names are tokens and values have no control characters") {
  for (int c = 0; c < 256; ++c) {
    const std::string text(1, static_cast<char>(c));
    CAPTURE(c);
    const bool token =
        c > 0x20 && c < 0x7f &&
        std::string_view("\"(),/:;<=>?@[\\]{}").find(text[0]) == std::string_view::npos;
    CHECK(is_token(text) == token);
    CHECK(is_field_value(text) == (c == '\t' || (c >= 0x20 && c != 0x7f)));
    // Wherever it stands among the eight bytes that are looked at together.
    for (std::size_t at = 0; at < 17; ++at) {
      std::string longer(17, 'a');
      longer[at] = text[0];
      CHECK(is_field_value(longer) == is_field_value(text));
    }
  }
  CHECK(!is_token(""));
  CHECK(is_field_value(""));
}

TEST_CASE("nothing breaks out of its line") {
  for (const std::string& bad :
       {"a\r\nb"s, "a\nb"s, "a\rb"s, "a\0b"s, "\x7f"s, "\r\n"s, "a\r\n"s}) {
    std::string out = "before";
    CHECK(!append_field(out, "X", bad));
    CHECK(!append_field(out, bad, "a"));
    CHECK(out == "before");
  }
  for (const char* bad : {"", "a b", "a:", " a", "caf\xe9"}) {
    std::string out;
    CHECK(!append_field(out, bad, "a"));
    CHECK(out.empty());
  }
  std::string out;
  CHECK(append_field(out, "X", " \ta b\t "));
  CHECK(append_field(out, "Y", ""));
  CHECK(out == "X: a b\r\nY: \r\n");
}

TEST_CASE("end-to-end fields go on, the others stay") {
  CHECK(forwarded("X-One: 1\r\nCookie: a=b\r\nX-One: 2\r\nAuthorization: x\r\n") ==
        "X-One: 1\r\nCookie: a=b\r\nX-One: 2\r\nAuthorization: x\r\n" + own);
  CHECK(forwarded("Connection: close, X-Hop, x-hop2\r\nX-Hop: 1\r\nX-HOP2: 2\r\nX-Hop3: 3\r\n") ==
        "X-Hop3: 3\r\n" + own);
  // All lines of Connection count, an empty first one too.
  CHECK(forwarded("Connection:\r\nX-Hop: 1\r\nConnection: ,X-Hop,\r\n") == own);
  for (const char* dropped :
       {"Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
        "Proxy-Authenticate: x", "Proxy-Authorization: x", "Proxy-Anything: x",
        "Proxy: http://evil", "TE: trailers", "Trailer: X", "Upgrade: websocket",
        "HTTP2-Settings: x", "Content-Length: 0", "Transfer-Encoding: chunked",
        "Expect: 100-continue", "X_Forwarded_For: 6.6.6.6", "Content_Length: 5", "X_Y: z",
        "X-Request-Id: theirs", "x-request-id: theirs"}) {
    CAPTURE(dropped);
    CHECK(forwarded(dropped + "\r\n"s) == own);
    CHECK(forwarded(dropped + "\r\n"s, true) == own);
  }
  CHECK(forwarded("Connection: TE\r\nTE: trailers\r\nTEA: green\r\n") == "TEA: green\r\n" + own);
}

TEST_CASE("what an untrusted peer says about its clients is dropped") {
  CHECK(
      forwarded("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
                "X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nX-Forwarded-Anything: x\r\n"
                "X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n") == own);
  // Nor can Connection take away what is ours.
  CHECK(forwarded("Connection: X-Forwarded-For, Via, X-Request-Id, X-Forwarded-Host\r\n") == own);
}

TEST_CASE("Via is continued, whoever says it") {
  for (const bool trusted : {false, true}) {
    const std::string out = forwarded("Via: 1.1 other\r\nVia: 1.0 raincheck-2\r\n", trusted);
    CHECK(out.find("Via: 1.1 other, 1.0 raincheck-2, 1.1 raincheck\r\n") != std::string::npos);
  }
}

TEST_CASE("what a trusted peer says is believed and continued") {
  CHECK(forwarded("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Real-IP: 1.1.1.1\r\n"
                  "X-Forwarded-For:,3.3.3.3\r\nX-Forwarded-Proto: https\r\n"
                  "X-Forwarded-Host: shop.example:8443\r\nX-Forwarded-Port: 8443\r\n"
                  "Forwarded: for=1.1.1.1\r\nVia: 1.0 fred, 1.1 p.example (x)\r\n",
                  true) ==
        "X-Real-IP: 1.1.1.1\r\nX-Forwarded-Port: 8443\r\nForwarded: for=1.1.1.1\r\n"
        "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: shop.example:8443\r\nVia: 1.0 fred, 1.1 p.example (x), 1.1 raincheck\r\n"
        "X-Request-Id: id-1\r\n");
  CHECK(forwarded("", true) == own);
  // What is said twice or makes no sense is not believed.
  CHECK(forwarded("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: a b\r\n",
                  true) == own);
  // A field that names the client cannot be taken away by Connection.
  CHECK(forwarded("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n", true)
            .find("X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n") == 0);
}

TEST_CASE("our own fields fit what is known") {
  const Request old("", "1.0");
  std::string out;
  append_request_fields(out, old.head(), identity_of("192.0.2.1", false));
  CHECK(out.find("Via: 1.0 raincheck\r\n") != std::string::npos);

  const Request request("X-Forwarded-For: 1.1.1.1\r\n");
  out.clear();
  append_request_fields(out, request.head(), identity_of("unix", true));
  CHECK(out.find("X-Forwarded-For: 1.1.1.1\r\n") == 0);
  out.clear();
  append_request_fields(out, old.head(), identity_of("unix", true));
  CHECK(out.find("X-Forwarded-For") == std::string::npos);

  Identity nameless = identity_of("192.0.2.1", false);
  nameless.host = {};
  nameless.request_id = "a\r\nb";
  out.clear();
  append_request_fields(out, old.head(), nameless);
  CHECK(out == "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nVia: 1.0 raincheck\r\n");
}

TEST_CASE("the end-to-end fields of an answer go on, without its framing") {
  CHECK(answered("Date: x\r\nServer: y\r\nContent-Length: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                 "X_Y: z\r\nProxy-Status: x\r\nContent-Type: text/plain\r\n") ==
        "Date: x\r\nServer: y\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX_Y: z\r\nProxy-Status: x\r\n"
        "Content-Type: text/plain\r\n");
  CHECK(answered("Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTrailer: X\r\n"
                 "Proxy-Authenticate: x\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nTE: x\r\n"
                 "Transfer-Encoding: chunked\r\n")
            .empty());
}

TEST_CASE("a loop is known by our name in Via") {
  for (const char* via : {"1.1 raincheck", "1.0 RAINCHECK", "1.1 a, 1.1 raincheck, 1.1 b",
                          "HTTP/1.1\traincheck (x)", "1.1  raincheck:8080", "1.1 raincheck(x)"}) {
    CAPTURE(via);
    CHECK(names_us(Request("Via: "s + via + "\r\n").head(), "raincheck"));
  }
  for (const char* via : {"", "1.1", "1.1 rain", "1.1 raincheck2", "raincheck", "1.1 a (raincheck)",
                          "1.1 my.raincheck"}) {
    CAPTURE(via);
    CHECK(!names_us(Request("Via: "s + via + "\r\n").head(), "raincheck"));
  }
  CHECK(names_us(Request("Via: 1.1 a\r\nVia: 1.1 raincheck\r\n").head(), "raincheck"));
  CHECK(!names_us(Request("X: 1.1 raincheck\r\n").head(), "raincheck"));
}

TEST_CASE("the client is the first address from the right that is not trusted") {
  const std::set<std::string, std::less<>> proxies{"10.0.0.1", "10.0.0.2", "fd00::1", "unix"};
  const auto client = [&](std::string_view peer, const std::string& fields) {
    const Request request(fields);
    return std::string(client_address(request.head(), peer, [&](std::string_view address) {
      return proxies.find(address) != proxies.end();
    }));
  };
  const auto chain = [&](const std::string& value) {
    return client("10.0.0.1", "X-Forwarded-For: " + value + "\r\n");
  };
  CHECK(client("1.1.1.1", "X-Forwarded-For: 6.6.6.6\r\n") == "1.1.1.1");
  CHECK(client("10.0.0.1", "") == "10.0.0.1");
  CHECK(client("unix", "X-Forwarded-For: 1.1.1.1\r\n") == "1.1.1.1");
  CHECK(chain("1.1.1.1") == "1.1.1.1");
  CHECK(chain("6.6.6.6, 1.1.1.1") == "1.1.1.1");
  CHECK(chain("6.6.6.6, 1.1.1.1, 10.0.0.2") == "1.1.1.1");
  CHECK(chain("10.0.0.2,10.0.0.1") == "10.0.0.2");
  CHECK(chain("6.6.6.6, 1.1.1.1 , , 10.0.0.2,") == "1.1.1.1");
  CHECK(chain("1.1.1.1:50000") == "1.1.1.1");
  CHECK(chain("2001:db8::7") == "2001:db8::7");
  CHECK(chain("[2001:db8::7]:50000, [fd00::1]") == "2001:db8::7");
  CHECK(client("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n") ==
        "1.1.1.1");
  // Beyond nonsense nothing is believed.
  for (const char* nonsense : {"unknown", "1.1.1.1.1", "1.1.1.1:", "1.1.1.1:x", "[::1", "[::1]x",
                               "a b", "\"1.1.1.1\"", "for=1.1.1.1", "256.1.1.1"}) {
    CAPTURE(nonsense);
    CHECK(chain("1.1.1.1, "s + nonsense + ", 10.0.0.2") == "10.0.0.2");
  }
  std::string endless = "1.1.1.1";
  for (int i = 0; i < 100; ++i) endless += ", 10.0.0.2";
  CHECK(chain(endless) == "10.0.0.2");
}

TEST_CASE("what is written is read back the same, and cannot be read in another way") {
  std::mt19937 random(20240117);
  const auto pick = [&random](std::string_view from) { return from[random() % from.size()]; };
  constexpr std::string_view name_bytes = "aZ09-!#$%&'*+.^`|~";
  constexpr std::string_view value_bytes = "a \t,:;\"()\x80\xff=\\/-0";
  constexpr std::string_view hostile = "\r\n\0\x7f\x01 :/"sv;
  for (int round = 0; round < 2000; ++round) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
    std::vector<std::pair<std::string, std::string>> written;
    const std::size_t before = out.size();
    for (int i = 0; i < 6; ++i) {
      std::string name;
      std::string value;
      for (auto n = random() % 8 + 1; n != 0; --n) name += pick(name_bytes);
      for (auto n = random() % 24; n != 0; --n) value += pick(value_bytes);
      if (random() % 4 == 0) value += pick(hostile);
      if (random() % 8 == 0) name += pick(hostile);
      if (!append_field(out, name, value)) continue;
      const std::size_t first = value.find_first_not_of(" \t");
      const std::size_t last = value.find_last_not_of(" \t");
      if (first == std::string::npos)
        value.clear();
      else
        value = value.substr(first, last - first + 1);
      written.emplace_back(name, value);
    }
    // One line for each field, ended by the only CR and LF in it.
    CHECK(std::count(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), '\r') ==
          static_cast<std::ptrdiff_t>(written.size()));
    CHECK(std::count(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), '\n') ==
          static_cast<std::ptrdiff_t>(written.size()));
    out += "\r\n";
    RequestParser parser;
    REQUIRE(parser.parse(out, {}) == Parse::done);
    REQUIRE(parser.head().fields.size() == written.size() + 1);
    for (std::size_t i = 0; i < written.size(); ++i) {
      CHECK(parser.head().fields[i + 1].name == written[i].first);
      CHECK(parser.head().fields[i + 1].value == written[i].second);
    }
  }
}
