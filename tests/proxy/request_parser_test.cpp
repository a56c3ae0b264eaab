#include "proxy/request_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using raincheck::proxy::Framing;
using raincheck::proxy::Parse;
using raincheck::proxy::RequestHead;
using raincheck::proxy::RequestLimits;
using raincheck::proxy::RequestParser;

namespace {

using namespace std::string_literals;

const std::string post = "POST /x HTTP/1.1\r\nHost: a\r\n";
const std::string chunked = "Transfer-Encoding: chunked\r\n";

std::string framing_of(const RequestHead& head) {
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

// All that a parser says, in one string.
std::string result(const RequestParser& parser, Parse parse) {
  if (parse == Parse::more) return "more";
  const RequestHead& head = parser.head();
  if (parse == Parse::rejected) {
    CHECK(!parser.rejection().detail.empty());
    return std::to_string(parser.rejection().status) + " " + parser.rejection().detail + " [" +
           std::string(head.method) + "]";
  }
  std::string out = std::string(head.method) + " " + std::string(head.target) + " " +
                    std::string(head.authority) + " 1." + std::to_string(head.minor_version) + " " +
                    framing_of(head) + " keep=" + std::to_string(head.keep_alive) +
                    " expect=" + std::to_string(head.expect_continue) +
                    " upgrade=" + std::string(head.upgrade) +
                    " size=" + std::to_string(parser.head_size());
  for (const auto& field : head.fields) {
    out += "\n" + std::string(field.name) + ":" + std::string(field.value) + ".";
  }
  return out;
}

std::string whole(const std::string& message, const RequestLimits& limits = {}) {
  RequestParser parser;
  return result(parser, parser.parse(message, limits));
}

// Byte by byte, each time in another buffer that ends where the bytes end.
std::string bytewise(const std::string& message, const RequestLimits& limits = {}) {
  RequestParser parser;
  for (std::size_t size = 1; size <= message.size(); ++size) {
    const std::vector<char> buffer(message.begin(),
                                   message.begin() + static_cast<std::ptrdiff_t>(size));
    const Parse parse = parser.parse({buffer.data(), buffer.size()}, limits);
    if (parse != Parse::more) return result(parser, parse);
  }
  return "more";
}

// The result, which must not depend on the pieces in which the message comes.
std::string parsed(const std::string& message, const RequestLimits& limits = {}) {
  const std::string out = whole(message, limits);
  CHECK(bytewise(message, limits) == out);
  return out;
}

int status(const std::string& message, const RequestLimits& limits = {}) {
  const std::string out = parsed(message, limits);
  return out[0] >= '0' && out[0] <= '9' ? std::stoi(out) : out == "more" ? 0 : 200;
}

struct Row {
  const char* name;
  int status;
  std::string message;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(status(row.message) == row.status);
  }
}

}  // namespace

TEST_CASE("framing that servers could read in two ways is refused") {
  check({
      {"length then chunked", 400, post + "Content-Length: 5\r\n" + chunked + "\r\n"},
      {"chunked then length", 400, post + chunked + "Content-Length: 5\r\n\r\n"},
      {"gzip then length", 400, post + "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"},
      {"length then gzip", 400, post + "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"},
      {"gzip alone", 400, post + "Transfer-Encoding: gzip\r\n\r\n"},
      {"chunked not last", 400, post + "Transfer-Encoding: chunked, gzip\r\n\r\n"},
      {"gzip, chunked", 501, post + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {"chunked twice", 400, post + chunked + chunked + "\r\n"},
      {"chunked twice in a line", 400, post + "Transfer-Encoding: chunked, chunked\r\n\r\n"},
      {"chunked, gzip, chunked", 400, post + "Transfer-Encoding: chunked, gzip, chunked\r\n\r\n"},
      {"chunked and an empty element", 400, post + "Transfer-Encoding: chunked,\r\n\r\n"},
      {"an empty element, chunked", 400, post + "Transfer-Encoding: , chunked\r\n\r\n"},
      {"gzip in a line of its own", 400, post + "Transfer-Encoding: gzip\r\n" + chunked + "\r\n"},
      {"an unknown coding", 400, post + "Transfer-Encoding: xchunked\r\n\r\n"},
      {"a parameter", 400, post + "Transfer-Encoding: chunked;a=b\r\n\r\n"},
      {"quoted", 400, post + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
      {"identity", 400, post + "Transfer-Encoding: identity\r\n\r\n"},
      {"identity and a length", 400,
       post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n"},
      {"empty", 400, post + "Transfer-Encoding:\r\n\r\n"},
      {"vertical tab", 400,
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n"},
      {"chunked in 1.0", 400, "POST /x HTTP/1.0\r\nHost: a\r\n" + chunked + "\r\n"},
      {"chunked in 1.0, kept alive", 400,
       "POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n" + chunked + "\r\n"},
      {"the same length twice", 400, post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
      {"two lengths", 400, post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n"},
      {"a list of lengths", 400, post + "Content-Length: 5, 5\r\n\r\n"},
      {"plus", 400, post + "Content-Length: +5\r\n\r\n"},
      {"minus", 400, post + "Content-Length: -1\r\n\r\n"},
      {"hexadecimal", 400, post + "Content-Length: 0x5\r\n\r\n"},
      {"a space within", 400, post + "Content-Length: 1 1\r\n\r\n"},
      {"no number", 400, post + "Content-Length: \r\n\r\n"},
      {"2^64", 400, post + "Content-Length: 18446744073709551616\r\n\r\n"},
      {"2^64+5", 400, post + "Content-Length: 18446744073709551621\r\n\r\n"},
      {"2^64-1", 200, post + "Content-Length: 18446744073709551615\r\n\r\n"},
      {"length of the underscore kind", 200,
       post + "Content_Length: 9\r\nContent-Length: 5\r\n\r\n"},
  });
}

TEST_CASE("a chunked body may be named in any case and with any whitespace") {
  for (const char* value : {"chunked", "Chunked", "CHUNKED", " chunked ", "\tchunked", "chunked\t",
                            " \t chunked \t "}) {
    CAPTURE(value);
    const std::string out = parsed(post + "transfer-encoding:" + value + "\r\n\r\n");
    CHECK(out.find(" chunked keep=1") != std::string::npos);
  }
}

TEST_CASE("lines and fields that are not quite right are refused") {
  check({
      {"bare line feeds", 400, "POST /x HTTP/1.1\nHost: a\nContent-Length: 5\n\n"},
      {"one bare line feed", 400, post + "X: a\nContent-Length: 5\r\n\r\n"},
      {"a bare line feed at the end", 400, post + "\n"},
      {"refused at once, before the end of the head", 400, post + "X: a\n"},
      {"a bare carriage return", 400, post + "X: a\rb\r\n\r\n"},
      {"two carriage returns", 400, post + "X: a\r\r\n\r\n"},
      {"a carriage return for a line", 400, "POST /x HTTP/1.1\rHost: a\r\n\r\n"},
      {"NUL", 400, post + "X: a\0b\r\n\r\n"s},
      {"a control", 400,
       post + "X: a\x01"
              "b\r\n\r\n"},
      {"DEL", 400,
       post + "X: a\x7f"
              "b\r\n\r\n"},
      {"DEL after eight", 400, post + "X: abcdefghij\x7f\r\n\r\n"},
      {"a control after eight", 400,
       post + "X: abcdefghij\x1f"
              "abcdefgh\r\n\r\n"},
      {"a tab within", 200, post + "X: abcdefgh\tabcdefgh\r\n\r\n"},
      {"above ASCII", 200, post + "X: caf\xe9\r\n\r\n"},
      {"an empty value", 200, post + "X:\r\nY: \t \r\n\r\n"},
      {"a space before the colon", 400, post + "X : a\r\n\r\n"},
      {"a tab before the colon", 400, post + "X\t: a\r\n\r\n"},
      {"a space before the colon of the length", 400, post + "Content-Length : 5\r\n\r\n"},
      {"a space before the colon of the coding", 400, post + "Transfer-Encoding : chunked\r\n\r\n"},
      {"folded", 400, post + "X: a\r\n b\r\n\r\n"},
      {"folded with a tab", 400, post + "X: a\r\n\tb\r\n\r\n"},
      {"a folded coding", 400, post + "Transfer-Encoding:\r\n chunked\r\n\r\n"},
      {"a folded end", 400, post + "X: a\r\n \r\n\r\n"},
      {"a folded first line", 400, "POST /x HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"an empty name", 400, post + ": a\r\n\r\n"},
      {"a bracket in a name", 400, post + "X(y): a\r\n\r\n"},
      {"a space in a name", 400, post + "X y: a\r\n\r\n"},
      {"above ASCII in a name", 400, post + "X\xe9: a\r\n\r\n"},
      {"NUL in a name", 400, post + "X\0: a\r\n\r\n"s},
      {"no colon", 400, post + "nonsense\r\n\r\n"},
      {"a colon in a value", 200, post + "X: a:b\r\n\r\n"},
      {"no space after the colon", 200, "GET /x HTTP/1.1\r\nHost:a\r\n\r\n"},
  });
}

TEST_CASE("there is at most one Content-Type") {
  const std::string get = "GET /x HTTP/1.1\r\nHost: a\r\n";
  check({
      {"one", 200, get + "Content-Type: a/b\r\n\r\n"},
      {"one, and others with names as long", 200,
       get + "Content-Type: a/b\r\nContent-Typo: a\r\nContent_Type: c/d\r\n\r\n"},
      {"two", 400, get + "Content-Type: text/x\r\nX: a\r\ncontent-type: text/y\r\n\r\n"},
      {"the same twice", 400, get + "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n"},
      {"two, one of them empty", 400, get + "Content-Type:\r\nContent-Type: a/b\r\n\r\n"},
  });
}

TEST_CASE("there is exactly one Host, and it is one") {
  const std::string get = "GET /x HTTP/1.1\r\n";
  check({
      {"none", 400, get + "\r\n"},
      {"none, but an absolute target", 400, "GET http://a/x HTTP/1.1\r\n\r\n"},
      {"two", 400, get + "Host: a\r\nHost: b\r\n\r\n"},
      {"the same twice", 400, get + "Host: a\r\nhost: a\r\n\r\n"},
      {"two, and an absolute target", 400, "GET http://a/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"none in 1.0", 200, "GET /x HTTP/1.0\r\n\r\n"},
      {"two in 1.0", 400, "GET /x HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"a bad one beside an absolute target", 400, "GET http://a/x HTTP/1.1\r\nHost: a b\r\n\r\n"},
  });
  for (const char* host :
       {"",     "a b",  "a/b",     "u@a", "a/b@c", "a:b",       "a, b",   "a,b",          "a:65536",
        "a:0",  "a:-1", "a:1:2",   ":80", ".",     ".a",        "a..b",   "a?b",          "a#b",
        "a%41", "a\\b", "[::1",    "::1", "[]",    "[1.2.3.4]", "[::1]x", "[::1%25eth0]", "[::g]",
        "a]",   "a[",   "caf\xe9", "*",   "a;b",   "<a>",       "a'b"}) {
    CAPTURE(host);
    CHECK(status(get + "Host: " + host + "\r\n\r\n") == 400);
  }
  for (const char* host : {"a", "A.example.COM", "a.b.", "a-b.c_d", "127.0.0.1", "a:1", "a:65535",
                           "[::1]", "[2001:db8::1]:8080", "[::ffff:1.2.3.4]"}) {
    CAPTURE(host);
    const std::string out = parsed(get + "Host: " + host + "\r\n\r\n");
    CHECK(out.find("GET /x " + std::string(host) + " 1.1") == 0);
  }
  CHECK(parsed(get + "Host: a:\r\n\r\n").find("GET /x a 1.1") == 0);
  CHECK(status(get + "Host: " + std::string(255, 'a') + "\r\n\r\n") == 200);
  CHECK(status(get + "Host: " + std::string(256, 'a') + "\r\n\r\n") == 400);
}

TEST_CASE("the request line is three words and nothing else") {
  const auto line = [](const std::string& text) { return text + "\r\nHost: a\r\n\r\n"; };
  check({
      {"two spaces", 400, line("GET  /x HTTP/1.1")},
      {"two spaces before the version", 400, line("GET /x  HTTP/1.1")},
      {"a tab", 400, line("GET\t/x HTTP/1.1")},
      {"a space in front", 400, line(" GET /x HTTP/1.1")},
      {"a space behind", 400, line("GET /x HTTP/1.1 ")},
      {"a method with a bracket", 400, line("G(T /x HTTP/1.1")},
      {"a method with an at sign", 400, line("G@T /x HTTP/1.1")},
      {"no method", 400, line("/x HTTP/1.1")},
      {"a method alone", 400, line("GET")},
      {"a method of tomorrow", 200, line("BREW /x HTTP/1.1")},
      {"a method in small letters is another method", 200, line("connect /x HTTP/1.1")},
      {"CONNECT", 405, line("CONNECT a:443 HTTP/1.1")},
      {"TRACE", 405, line("TRACE /x HTTP/1.1")},
      {"TRACE with a body", 405, "TRACE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"},
      {"HTTP/0.9", 400, "GET /x\r\n"},
      {"0.9 as a word", 505, line("GET /x HTTP/0.9")},
      {"1.2", 505, line("GET /x HTTP/1.2")},
      {"2.0", 505, line("GET /x HTTP/2.0")},
      {"the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"a version in small letters", 400, line("GET /x http/1.1")},
      {"a longer version", 400, line("GET /x HTTP/1.10")},
      {"a shorter version", 400, line("GET /x HTTP/1")},
      {"another protocol", 400, line("GET /x HTCPCP/1.1")},
      {"a TLS hello", 400, "\x16\x03\x01\x02\0\x01"s},
      {"an SSH greeting", 400, "SSH-2.0-x\r\n"},
      {"empty lines only", 400, "\r\n\r\n"},
  });
}

TEST_CASE("a target is a path and query, an http URI, or the asterisk of OPTIONS") {
  const auto target = [](const std::string& text) {
    const std::string out = parsed("GET " + text + " HTTP/1.1\r\nHost: h\r\n\r\n");
    return out.substr(0, out.find(" 1.1"));
  };
  for (const char* bad : {"x",
                          "",
                          "/a#b",
                          "/a\x80",
                          "/caf\xc3\xa9",
                          "/a\tb",
                          "/a\x01",
                          "/a\x7f",
                          "/a\\b",
                          "/a\"b",
                          "/a<b",
                          "/a>b",
                          "/a^b",
                          "/a`b",
                          "/a{b}",
                          "/a|b",
                          "/a?b#c",
                          "/a?b\"c",
                          "/a?b<c",
                          "/a?caf\xe9",
                          "?a",
                          "*",
                          "*a",
                          "a:80",
                          "ftp://a/x",
                          "http:/a",
                          "http:a",
                          "http:///x",
                          "http://",
                          "https://?a",
                          "http://u@a/x",
                          "http://u:p@a/x",
                          "http://a b/x",
                          "http://a:x/",
                          "http://a#b",
                          "http://a\\b/",
                          "//",
                          "://a/"}) {
    CAPTURE(bad);
    const bool is_origin_form = std::string_view(bad) == "//";
    CHECK((target(bad)[0] == '4') == !is_origin_form);
  }
  CHECK(target("/") == "GET / h");
  CHECK(target("//a/") == "GET //a/ h");
  CHECK(target("/a;b=c/d:e@f!$&'()*+,=~[1]") == "GET /a;b=c/d:e@f!$&'()*+,=~[1] h");
  CHECK(target("/a%2f?a=%zz&b[]={c|d}^`\\?/..") == "GET /a%2f?a=%zz&b[]={c|d}^`\\?/.. h");
  CHECK(target("http://a/x?y") == "GET /x?y a");
  CHECK(target("HTTPS://a.example:8443/x") == "GET /x a.example:8443");
  CHECK(target("http://[::1]:80/x") == "GET /x [::1]:80");
  CHECK(target("http://a") == "GET / a");
  CHECK(target("http://a?b=c/d") == "GET /?b=c/d a");
  CHECK(parsed("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").find("OPTIONS * h") == 0);
  CHECK(parsed("OPTIONS http://a HTTP/1.1\r\nHost: h\r\n\r\n").find("OPTIONS * a") == 0);
  CHECK(parsed("OPTIONS http://a/ HTTP/1.1\r\nHost: h\r\n\r\n").find("OPTIONS / a") == 0);
}

TEST_CASE("one empty line before a request is read over") {
  CHECK(parsed("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").find("GET / a 1.1") == 0);
  CHECK(parsed("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").find("size=29") != std::string::npos);
  CHECK(status("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(status("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(status("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
  CHECK(status("\r") == 0);
  CHECK(status("\r\n") == 0);
}

TEST_CASE("each limit is kept, and one beyond is refused") {
  const auto line = [](std::size_t size) {  // a request whose line has this many bytes
    return "GET /" + std::string(size - 16, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  CHECK(status(line(8192)) == 200);
  CHECK(status("\r\n" + line(8192)) == 200);
  CHECK(status(line(8193)) == 414);
  CHECK(status(std::string(8191, 'a')) == 0);
  CHECK(status(std::string(8192, 'a')) == 414);

  RequestLimits limits;
  limits.request_line = 18;
  limits.headers = 20;
  limits.header_count = 2;
  const std::string start = "GET /x HTTP/1.1\r\n";
  CHECK(status(start + "Host: a\r\nX: 89\r\n\r\n", limits) == 200);
  CHECK(status(start + "Host: a\r\nX: 890\r\n\r\n", limits) == 200);  // 9 + 8 + 2 bytes
  CHECK(status(start + "Host: a\r\nX: 8901\r\n\r\n", limits) == 200);
  CHECK(status(start + "Host: a\r\nX: 89012\r\n\r\n", limits) == 431);
  CHECK(status(start + "Host: a\r\nX: 8901234567890", limits) == 431);
  CHECK(status(start + "Host: a\r\nX:\r\nY:\r\n\r\n", limits) == 431);
  CHECK(status(start + "Host: a\r\nX:\r\n\r\n", limits) == 200);

  std::string many = start + "Host: a\r\n";
  for (int i = 1; i < 100; ++i) many += "X: y\r\n";
  CHECK(status(many + "\r\n") == 200);
  CHECK(status(many + "X: y\r\n\r\n") == 431);
}

TEST_CASE("no more is asked for when the limits are reached") {
  RequestLimits limits;
  limits.request_line = 32;
  limits.headers = 48;
  for (const std::string& endless :
       {std::string(200, 'a'), "GET / HTTP/1.1\r\n" + std::string(200, 'a'),
        "\r\nGET / HTTP/1.1\r\n" + std::string(200, 'a'),
        "GET / HTTP/1.1\r\na:" + std::string(200, ' ')}) {
    RequestParser parser;
    CHECK(parser.parse(endless.substr(0, 2 + 32 + 48), limits) == Parse::rejected);
  }
}

TEST_CASE("only as many options of Connection as anybody would have") {
  const auto options = [](int count) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\nConnection: ";
    for (int i = 1; i < count; ++i) out += "X, ";
    return out + "X\r\n\r\n";
  };
  CHECK(status(options(32)) == 200);
  CHECK(status(options(33)) == 400);
}

TEST_CASE("the connection is kept as the version and Connection say") {
  const struct {
    const char* version;
    const char* fields;
    bool keep;
  } rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: Keep-Alive\r\n", true},
      {"1.1", "Connection: x, CLOSE\r\n", false},
      {"1.1", "Connection:\r\nConnection: close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: keep-alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
      {"1.0", "Proxy-Connection: keep-alive\r\n", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.version);
    CAPTURE(row.fields);
    const std::string out =
        parsed("GET / HTTP/"s + row.version + "\r\nHost: a\r\n" + row.fields + "\r\n");
    CHECK(out.find(row.keep ? "keep=1" : "keep=0") != std::string::npos);
  }
}

TEST_CASE("the only expectation is 100-continue, of a client that has a body") {
  const auto expects = [](const std::string& message) {
    return parsed(message).find("expect=1") != std::string::npos;
  };
  CHECK(expects(post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  CHECK(expects(post + "expect: 100-Continue\r\n" + chunked + "\r\n"));
  CHECK(!expects(post + "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"));
  CHECK(!expects(post + "Expect: 100-continue\r\n\r\n"));
  CHECK(!expects("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  CHECK(status(post + "Expect: 100-continue, x\r\n\r\n") == 417);
  CHECK(status(post + "Expect: x\r\n\r\n") == 417);
  CHECK(status(post + "Expect:\r\n\r\n") == 417);
  CHECK(status(post + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n") == 417);
}

TEST_CASE("Connection is a list of names") {
  for (const char* bad : {"close;x", "X Y", "\"X\"", "close, a:b", "caf\xe9"}) {
    CAPTURE(bad);
    CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nConnection: "s + bad + "\r\n\r\n") == 400);
  }
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nConnection: , X ,,\tY,\r\n\r\n") == 200);
}

TEST_CASE("an upgrade is one only when everything is as it must be") {
  const auto upgrade = [](const std::string& line, const std::string& fields) {
    const std::string out = parsed(line + "\r\nHost: a\r\n" + fields + "\r\n");
    const std::size_t at = out.find("upgrade=") + 8;
    return out.substr(at, out.find(' ', at) - at);
  };
  const std::string get = "GET / HTTP/1.1";
  const std::string named = "Connection: keep-alive, Upgrade\r\n";
  CHECK(upgrade(get, named + "Upgrade: websocket\r\n") == "websocket");
  CHECK(upgrade(get, named + "Upgrade: IRC/6.9\r\n") == "IRC/6.9");
  CHECK(upgrade(get, named + "Upgrade: websocket\r\nContent-Length: 0\r\n") == "websocket");
  CHECK(upgrade(get, "Upgrade: websocket\r\n").empty());
  CHECK(upgrade(get, named).empty());
  CHECK(upgrade(get, named + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n").empty());
  CHECK(upgrade(get, named + "Upgrade: H2C/1\r\n").empty());
  CHECK(upgrade(get, named + "Upgrade: websocket, h2c\r\n").empty());
  CHECK(upgrade(get, named + "Upgrade: websocket\r\nUpgrade: h2c\r\n").empty());
  CHECK(upgrade(get, named + "Upgrade: websocket/\r\n").empty());
  CHECK(upgrade(get, named + "Upgrade: websocket\r\nContent-Length: 1\r\n").empty());
  CHECK(upgrade("POST / HTTP/1.1", named + "Upgrade: websocket\r\n").empty());
  CHECK(upgrade("GET / HTTP/1.0", named + "Upgrade: websocket\r\n").empty());
}

TEST_CASE("a request is understood, and what follows it is left alone") {
  const std::string head =
      "POST /a?b HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nX-TWO: \t two words \t\r\n"
      "Content-Length: 005\r\n\r\n";
  CHECK(parsed(head + "helloGET / HTTP/1.1\r\n") ==
        "POST /a?b a.example 1.1 length 5 keep=1 expect=0 upgrade= size=" +
            std::to_string(head.size()) +
            "\nHost:a.example.\nX-One:1.\nX-TWO:two words.\nContent-Length:005.");
}

TEST_CASE("a parser serves one request after the other") {
  RequestParser parser;
  CHECK(parser.parse("POST http://a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                     {}) == Parse::done);
  parser.reset();
  CHECK(parser.parse("GET /", {}) == Parse::more);
  CHECK(parser.head().method.empty());
  parser.reset();
  CHECK(parser.parse("\r\nBAD\r\n", {}) == Parse::rejected);
  parser.reset();
  const std::string last = "GET /second HTTP/1.1\r\nHost: b\r\n\r\n";
  CHECK(result(parser, parser.parse(last, {})) == whole(last));
}

TEST_CASE("a refused request is known as far as it was understood") {
  RequestParser parser;
  CHECK(parser.parse("PUT /x HTTP/1.1\r\nno colon\r\n\r\n", {}) == Parse::rejected);
  CHECK(parser.head().method == "PUT");
  CHECK(parser.head().target == "/x");
  CHECK(parser.rejection().reason == "bad_request"s);
}
