#include "proxy/response_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using raincheck::proxy::Framing;
using raincheck::proxy::Parse;
using raincheck::proxy::ResponseHead;
using raincheck::proxy::ResponseParser;

namespace {

using namespace std::string_literals;

constexpr std::uint64_t headers_max = 64 * 1024;

struct Asked {
  bool head = false;
  bool upgrade = false;
};

std::string framing_of(const ResponseHead& head) {
  switch (head.framing) {
    case Framing::none:
      return "none";
    case Framing::length:
      return "length " + std::to_string(head.content_length);
    case Framing::chunked:
      return "chunked";
    case Framing::until_close:
      return "until close";
  }
  return "?";
}

// All that a parser says, in one string; "! " and why for what is refused.
std::string result(const ResponseParser& parser, Parse parse) {
  if (parse == Parse::more) return "more";
  if (parse == Parse::rejected) {
    CHECK(std::string_view(parser.error()).ends_with('.'));
    return "! "s + parser.error();
  }
  const ResponseHead& head = parser.head();
  std::string out = "1." + std::to_string(head.minor_version) + " " + std::to_string(head.status) +
                    " " + std::string(head.reason) + " | " + framing_of(head) +
                    (head.keep_alive ? " keep" : " close");
  if (head.keep_alive_timeout) out += " " + std::to_string(head.keep_alive_timeout->count());
  if (!head.upgrade.empty()) out += " upgrade " + std::string(head.upgrade);
  for (const auto& field : head.fields) {
    out += "\n" + std::string(field.name) + ":" + std::string(field.value) + ".";
  }
  return out;
}

std::string bytewise(const std::string& message, std::uint64_t max, Asked asked) {
  ResponseParser parser;
  for (std::size_t size = 1; size <= message.size(); ++size) {
    const std::vector<char> buffer(message.begin(),
                                   message.begin() + static_cast<std::ptrdiff_t>(size));
    const Parse parse =
        parser.parse({buffer.data(), buffer.size()}, max, asked.head, asked.upgrade);
    if (parse != Parse::more) return result(parser, parse);
  }
  return "more";
}

// The result, which must not depend on the pieces in which the message comes.
std::string parsed(const std::string& message, Asked asked = {}, std::uint64_t max = headers_max) {
  ResponseParser parser;
  const std::string out = result(parser, parser.parse(message, max, asked.head, asked.upgrade));
  CHECK(bytewise(message, max, asked) == out);
  return out;
}

// The same without the fields.
std::string line_of(const std::string& message, Asked asked = {}) {
  const std::string out = parsed(message, asked);
  return out.substr(0, out.find('\n'));
}

bool is_refused(const std::string& message, Asked asked = {}) {
  return parsed(message, asked).starts_with('!');
}

const std::string ok = "HTTP/1.1 200 OK\r\n";

}  // namespace

TEST_CASE("an answer is understood, and what follows it is left alone") {
  CHECK(parsed(ok + "Content-Type: text/plain\r\nX: \t a b \t\r\nContent-Length: 2\r\n\r\nhi") ==
        "1.1 200 OK | length 2 keep\nContent-Type:text/plain.\nX:a b.\nContent-Length:2.");
  CHECK(line_of(ok + "Transfer-Encoding:\tChunked \r\n\r\n0\r\n") == "1.1 200 OK | chunked keep");
  CHECK(line_of("HTTP/1.0 200 OK\r\n\r\nhello") == "1.0 200 OK | until close close");
  CHECK(line_of(ok + "\r\nhello") == "1.1 200 OK | until close close");
  CHECK(line_of("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n") == "1.2 200 OK | length 0 keep");
}

TEST_CASE("what legacy servers put into a status line") {
  CHECK(line_of("HTTP/1.1 404 Non trouv\xe9\r\nContent-Length: 2\r\n\r\n") ==
        "1.1 404 Non trouv\xe9 | length 2 keep");
  CHECK(line_of("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n") == "1.1 200  | length 2 keep");
  CHECK(line_of("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n") == "1.1 200  | length 2 keep");
  CHECK(line_of("HTTP/1.1 200  OK\r\nContent-Length: 2\r\n\r\n") == "1.1 200  OK | length 2 keep");
  for (const char* line :
       {"HTTP/1.1 20 Z", "HTTP/1.1 2OO OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20", "HTTP/1.1 -20 OK",
        "HTTP/1.1  200 OK", "HTTP/1.1 200OK", "HTTP/1.1", "HTTP/1.1200 OK", "HTTP/1.x 200 OK",
        "HTTP/1.10 200 OK", "HTTP/1. 200 OK", "HTTP/1.1 099 X", "HTTP/1.1 600 X", "HTTP/1.1 999 X",
        "HTTP/1.1 000 X", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\rK", "HTTP/1.1\t200 OK"}) {
    CAPTURE(line);
    CHECK(is_refused(std::string(line) + "\r\nContent-Length: 2\r\n\r\n"));
  }
  CHECK(is_refused("HTTP/1.1 200 O\0K\r\n\r\n"s));
  CHECK(line_of("HTTP/1.1 100 \r\n\r\n") == "1.1 100  | none keep");
  CHECK(line_of("HTTP/1.1 599 X\r\nContent-Length: 2\r\n\r\n") == "1.1 599 X | length 2 keep");
}

TEST_CASE("what is not HTTP/1 is refused at the first byte that says so") {
  for (const char* garbage : {"S", "SSH-2.0-x\r\n", "ICY 200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
                              "http/1.1 200 OK\r\n\r\n", "HTTP/0", "\r\nHTTP/1.1 200 OK\r\n\r\n",
                              "<html>", "\x16\x03\x01", " HTTP/1.1 200 OK\r\n\r\n"}) {
    CAPTURE(garbage);
    CHECK(is_refused(garbage));
  }
  CHECK(is_refused("\0"s));
  CHECK(parsed("HTTP/1.") == "more");
  CHECK(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n") == "more");
}

TEST_CASE("framing that could be read in two ways is refused") {
  for (const char* fields : {
           "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
           "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n",
           "Transfer-Encoding: gzip\r\n",
           "Transfer-Encoding: identity\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, gzip\r\n",
           "Transfer-Encoding: chunked, chunked\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Transfer-Encoding:\r\n",
           "Content-Length: 2\r\nContent-Length: 2\r\n",
           "Content-Length: 2\r\nContent-Length: 3\r\n",
           "Content-Length: 2, 2\r\n",
           "Content-Length: -2\r\n",
           "Content-Length: +2\r\n",
           "Content-Length: 0x2\r\n",
           "Content-Length: 2 bytes\r\n",
           "Content-Length: 18446744073709551618\r\n",
           "Content-Length:\r\n",
       }) {
    CAPTURE(fields);
    CHECK(is_refused(ok + fields + "\r\n"));
    CHECK(is_refused("HTTP/1.1 204 X\r\n"s + fields + "\r\n"));
    CHECK(is_refused(ok + fields + "\r\n", {true, false}));
  }
  CHECK(is_refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

TEST_CASE("lines and fields that are not quite right") {
  for (const std::string& fields :
       {"X: a\nY: b\r\n"s, "X: a\rb\r\n"s, "X: a\0b\r\n"s, "X: a\x01\r\n"s, "X: a\x7f\r\n"s,
        "X: a\r\n b\r\n"s, " X: a\r\n"s, "X: a\r\n\t\r\n"s, ": a\r\n"s, " : a\r\n"s, "X(y): a\r\n"s,
        "X y: a\r\n"s, "nonsense\r\n"s, "nonsense \r\n"s}) {
    CAPTURE(fields);
    CHECK(is_refused(ok + fields + "Content-Length: 2\r\n\r\n"));
  }
  CHECK(is_refused("HTTP/1.1 200 OK\nContent-Length: 2\n\n"));
  // A proxy removes the space before a colon, and must not overlook the field (RFC 9112
  // section 5.1).
  CHECK(parsed(ok + "Content-Length \t: 2\r\n\r\n") ==
        "1.1 200 OK | length 2 keep\nContent-Length:2.");
  CHECK(is_refused(ok + "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n"));
}

TEST_CASE("some answers have no body, whatever their fields say") {
  const std::string length = "Content-Length: 2\r\n\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(line_of(ok + length, {true, false}) == "1.1 200 OK | none keep");
  CHECK(line_of(ok + chunked, {true, false}) == "1.1 200 OK | none keep");
  CHECK(line_of(ok + "\r\n", {true, false}) == "1.1 200 OK | none keep");
  CHECK(line_of("HTTP/1.1 304 X\r\n" + length) == "1.1 304 X | none keep");
  CHECK(line_of("HTTP/1.1 204 X\r\n\r\n") == "1.1 204 X | none keep");
  CHECK(line_of("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n") == "1.1 204 X | none keep");
  CHECK(line_of("HTTP/1.1 100 X\r\n\r\n") == "1.1 100 X | none keep");
  CHECK(line_of("HTTP/1.1 103 X\r\nLink: x\r\n\r\n") == "1.1 103 X | none keep");
  // A body that must not be there may be on its way all the same.
  CHECK(line_of("HTTP/1.1 204 X\r\n" + length) == "1.1 204 X | none close");
  CHECK(line_of("HTTP/1.1 204 X\r\n" + chunked) == "1.1 204 X | none close");
  CHECK(line_of("HTTP/1.1 304 X\r\n" + chunked) == "1.1 304 X | none close");
  CHECK(line_of("HTTP/1.1 205 X\r\n" + length) == "1.1 205 X | length 2 keep");
}

TEST_CASE("interim answers are read one by one") {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  ResponseParser parser;
  std::string_view left = bytes;
  std::vector<int> statuses;
  while (parser.parse(left, headers_max, false, false) == Parse::done) {
    statuses.push_back(parser.head().status);
    left.remove_prefix(parser.head_size());
    parser.reset();
    if (statuses.back() >= 200) break;
  }
  CHECK(statuses == std::vector<int>{100, 103, 200});
  CHECK(left == "hi");
}

TEST_CASE("a 101 is for those who asked, and names its protocol") {
  const std::string switching = "HTTP/1.1 101 Switching Protocols\r\n";
  const std::string named = "Connection: Upgrade\r\n";
  const Asked asked{false, true};
  CHECK(line_of(switching + named + "Upgrade: websocket\r\n\r\n", asked) ==
        "1.1 101 Switching Protocols | none close upgrade websocket");
  CHECK(is_refused(switching + named + "Upgrade: websocket\r\n\r\n"));
  CHECK(is_refused(switching + named + "\r\n", asked));
  CHECK(is_refused(switching + "Upgrade: websocket\r\n\r\n", asked));
  CHECK(is_refused(switching + named + "Upgrade:\r\n\r\n", asked));
  CHECK(line_of(ok + named + "Upgrade: h2c\r\nContent-Length: 2\r\n\r\n", asked) ==
        "1.1 200 OK | length 2 keep");
}

TEST_CASE("the connection is kept as version and fields say") {
  const auto keeps = [](const std::string& version, const std::string& fields) {
    const std::string out =
        line_of("HTTP/" + version + " 200 OK\r\nContent-Length: 2\r\n" + fields + "\r\n");
    return out.substr(out.find("length 2 ") + 9);
  };
  CHECK(keeps("1.1", "") == "keep");
  CHECK(keeps("1.1", "Connection: Close\r\n") == "close");
  CHECK(keeps("1.1", "Connection: close, and more\r\n") == "close");
  CHECK(keeps("1.0", "") == "close");
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n") == "keep");
  CHECK(keeps("1.0", "Connection: Keep-Alive, close\r\n") == "close");
  CHECK(keeps("1.1", "Keep-Alive: timeout=5, max=100\r\n") == "keep 5");
  CHECK(keeps("1.1", "Keep-Alive: max=100, Timeout=0\r\n") == "keep 0");
  CHECK(keeps("1.1", "Keep-Alive: timeout=\r\n") == "keep");
  CHECK(keeps("1.1", "Keep-Alive: timeout=-1\r\n") == "keep");
  CHECK(keeps("1.1", "Keep-Alive: timeout=9999999999999999999999\r\n") == "keep");
  CHECK(keeps("1.1", "Connection: close\r\nKeep-Alive: timeout=5\r\n") == "close");
}

TEST_CASE("the limits of an answer's header are kept, and one beyond is refused") {
  const auto header = [](std::size_t size) {
    return ok + "X: " + std::string(size - ok.size() - 7, 'y') + "\r\n\r\n";
  };
  CHECK(header(100).size() == 100);
  CHECK(!parsed(header(100), {}, 100).starts_with('!'));
  CHECK(parsed(header(101), {}, 100).starts_with('!'));
  CHECK(parsed("HTTP/1.1 200 " + std::string(99, 'y'), {}, 100).starts_with('!'));
  CHECK(parsed("HTTP/1.1 200 " + std::string(86, 'y'), {}, 100) == "more");
  CHECK(parsed("HTTP/1.1 200 " + std::string(87, 'y'), {}, 100).starts_with('!'));

  std::string many = ok;
  for (std::uint32_t i = 0; i < ResponseParser::header_count_max; ++i) many += "X:\r\n";
  ResponseParser parser;
  CHECK(parser.parse(many + "\r\n", headers_max, false, false) == Parse::done);
  parser.reset();
  CHECK(parser.parse(many + "X:\r\n\r\n", headers_max, false, false) == Parse::rejected);
}
