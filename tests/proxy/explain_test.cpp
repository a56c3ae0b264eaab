#include "proxy/explain.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/config/support.hpp"

using namespace raincheck;
using proxy::Question;

namespace {

std::string explain(const Question& question, bool is_asked_well = true) {
  auto environment = config::Environment::empty();
  environment.variable = [](const std::string&) { return std::string("/run"); };
  environment.file = [](const std::string&) { return std::string("s3cret"); };
  const config::Loaded loaded = config::load_text(
      "x.yaml",
      "upstreams: { a: http://a:81 }\nroutes:\n  - name: r\n    match: POST /r/{id}\n"
      "    upstream: a\n    rewrite: { path: '/x/${path.id}', host: b }\n"
      "    request_headers:\n      remove: [Cookie, X-Forwarded-*]\n"
      "      set: { Authorization: 'Bearer ${credential:t}', X-Id: '${path.id} ${header.Cookie}' "
      "}\n"
      "    request_body:\n      on_failure: refuse\n      json_patch:\n"
      "        - { op: add, path: /token, value: '${credential:t}' }\n"
      "      replace: [{ from: old, to: '${path.id}' }]\n",
      environment);
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const auto out = proxy::explain(loaded.config, table, question);
  CHECK(out.is_asked_well == is_asked_well);
  return out.text;
}

}  // namespace

TEST_CASE("the head that a backend would get is shown, without secrets") {
  CHECK(
      explain({"POST",
               "https://h:8443/r/%61?q=1",
               {"Cookie: a=b", "Accept:x", "Connection: X-Hop", "X-Hop: 1", "authorization: mine"},
               "12345"}) ==
      "Path /r/a: route 'r'\n\n"
      "> r: it matches, and none is more specific\n\n"
      "The call to a:\n\n"
      "POST /x/a?q=1 HTTP/1.1\r\nHost: b\r\nAccept: x\r\nAuthorization: Bearer ***\r\n"
      "Via: 1.1 raincheck-ID\r\nX-Request-Id: REQUEST-ID\r\nX-Id: a a=b\r\n"
      "Content-Length: 5\r\n\r\n12345\n");
}

TEST_CASE("what is no call and what is no request is said in words") {
  CHECK(explain({"GET", "/r/a", {}, ""}) == "Path /r/a: no route\n\n  r: its methods are POST\n");
  CHECK(explain({"GET", "/_jobs/x", {}, ""}) ==
        "Path /_jobs/x belongs to jobs: no route is asked\n");
  CHECK(explain({"POST", "/r/a\\b", {}, ""}, false) == "the path holds a backslash");
  CHECK(explain({"P T", "/r/a", {}, ""}, false) == "'P T' is not a method");
  CHECK(explain({"POST", "http://a b/", {}, ""}, false) == "the URL has no valid host");
  CHECK(explain({"POST", "/r/a", {"x"}, ""}, false) == "'x' is not a header: write 'Name: value'");
}

TEST_CASE("the body that a backend would get is shown, or why there is no call") {
  const std::string json = explain(
      {"POST", "/r/a", {"Content-Type: application/json", "Content-MD5: x"}, R"({"is":"old"})"});
  CHECK(json.find("Content-MD5") == std::string::npos);
  CHECK(json.ends_with("Content-Length: 24\r\n\r\n{\"is\":\"a\",\"token\":\"***\"}\n"));
  CHECK(explain({"POST", "/r/a", {"Content-Type: text/plain"}, "old bold"})
            .ends_with("Content-Length: 4\r\n\r\na ba\n"));
  CHECK(explain({"POST", "/r/a", {"Content-Type: application/json"}, "<old>"})
            .find("\nNo call is made: the body is not JSON: ") != std::string::npos);
  CHECK(explain({"POST", "/r/a", {"Content-Type: text/plain", "Content-Encoding: zstd"}, "old"})
            .find("\nNo call is made: the coding of the body is not known: zstd.\n") !=
        std::string::npos);
}
