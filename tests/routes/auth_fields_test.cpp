#include "routes/auth_fields.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace raincheck::routes;

namespace {

constexpr std::string_view told =
    "X-Original-Method: PUT\r\nX-Original-URI: /a?b=1\r\n"
    "X-Forwarded-Method: PUT\r\nX-Forwarded-Uri: /a?b=1\r\n";

std::string question(std::string_view lines) {
  return auth_question("GET", "/check?x", {"PUT", "/a?b=1", lines});
}

}  // namespace

TEST_CASE("a question has the credentials of the request and nothing about its body") {
  struct Row {
    std::string_view line;
    bool goes;
  };
  const Row rows[] = {
      {"Cookie: a=b", true},
      {"Authorization: Basic x", true},
      {"Accept: text/html", true},
      {"Origin: https://a", true},
      {"X-Request-Id: 7", true},
      {"X-Forwarded-For: 192.0.2.1", true},
      {"X-Forwarded-Proto: https", true},
      {"X-Forwarded-Host: a", true},
      {"Ifx: 1", true},
      {"Content-Type: text/plain", false},
      {"content-encoding: gzip", false},
      {"Content-Digest: x", false},
      {"Range: bytes=0-1", false},
      {"If-None-Match: *", false},
      {"if-range: x", false},
      {"Expect: 100-continue", false},
      {"Prefer: wait=5", false},
      // What would pretend to be ours.
      {"X-Original-URI: /public", false},
      {"x-original-url: http://a/public", false},
      {"X-Original-Method: GET", false},
      {"x-forwarded-uri: /public", false},
      {"X-Forwarded-Method: GET", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const std::string line = std::string(row.line) + "\r\n";
    CHECK(question(line) ==
          "GET /check?x\r\n" + (row.goes ? line : std::string()) + std::string(told));
  }
}

TEST_CASE("what decides an answer is all of a question but the names of the single request") {
  const std::string head = "GET /c\r\nCookie: a\r\n";
  CHECK(auth_question_core(
            head + "x-request-id: 1\r\ntraceparent: 2\r\nTracestate: 3\r\nX-Original-URI: /\r\n",
            "X-Request-Id") == head + "X-Original-URI: /\r\n");
}

TEST_CASE(
    "fields of a positive answer take the place of what the client sent, also if there are none") {
  const std::vector<std::string> names = {"X-User", "X-Groups"};
  const std::string answer = "Server: s\r\nx-user: ada\r\nX-User: eve\r\nSet-Cookie: a=b\r\n";
  const std::string copied = copied_fields(answer, names);
  CHECK(copied == "x-user: ada\r\nX-User: eve\r\n");
  CHECK(copied_fields("X-Users: x\r\n", names).empty());

  const std::string line = "POST /\r\n";
  const auto replaced = [&](std::string_view lines, std::string_view with) {
    std::string out = line + std::string(lines);
    replace_fields(out, line.size(), names, with);
    REQUIRE(out.starts_with(line));
    return out.substr(line.size());
  };
  CHECK(replaced("X-USER: forged\r\nAccept: x\r\nx-groups: root\r\nX-User: again\r\n", copied) ==
        "Accept: x\r\n" + copied);
  CHECK(replaced("x-user: forged\r\nAccept: x\r\n", "") == "Accept: x\r\n");
  CHECK(replaced("Accept: x\r\n", copied) == "Accept: x\r\n" + copied);
  CHECK(replaced("", "").empty());
}

TEST_CASE("a refusal goes on but for what is ours to write") {
  const std::string answer =
      "Date: x\r\nWWW-Authenticate: Basic\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
      "Location: /login\r\nContent-Type: text/html\r\nETag: \"1\"\r\nCache-Control: no-store\r\n"
      "x-request-id: theirs\r\nRetry-After: 3\r\n";
  CHECK(relayed_fields(answer, "X-Request-Id", AnswerBodyKept::yes) ==
        "WWW-Authenticate: Basic\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nLocation: /login\r\n"
        "Content-Type: text/html\r\nETag: \"1\"\r\nCache-Control: no-store\r\nRetry-After: 3\r\n");
  CHECK(relayed_fields(answer, "X-Request-Id", AnswerBodyKept::no) ==
        "WWW-Authenticate: Basic\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nLocation: /login\r\n"
        "Retry-After: 3\r\n");
}

TEST_CASE("a service can forbid that its answer is remembered") {
  CHECK(may_be_remembered(""));
  CHECK(may_be_remembered("Cache-Control: private, max-age=60\r\n"));
  CHECK_FALSE(may_be_remembered("cache-control: private, No-Store\r\n"));
  CHECK_FALSE(may_be_remembered("Cache-Control: private\r\nCache-Control: no-cache=\"x\"\r\n"));
}
