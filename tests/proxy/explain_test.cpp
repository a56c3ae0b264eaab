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
      "}\n",
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
      "Content-Length: 5\r\n\r\n");
}

TEST_CASE(
    "the question to an authorization service is shown, and no client's word for its answer") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes:\n  - match: /r\n    upstream: a\n"
      "    authorize: { url: 'http://auth:9/check', method: POST, copy_headers: [X-User] }\n"
      "    request_headers: { remove: [X-Forwarded-*], set: { X-Who: '${header.X-User}' } }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const Question question{"PUT",
                          "/r?q=1",
                          {"Cookie: a=b", "X-User: forged", "X-Original-URI: /", "Range: bytes=1-"},
                          "12"};
  const std::string text = proxy::explain(loaded.config, table, question).text;
  CHECK(text.substr(text.find("The question")) ==
        "The question to http://auth:9, which comes first:\n\n"
        "POST /check HTTP/1.1\r\nHost: auth:9\r\nCookie: a=b\r\nX-User: forged\r\n"
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 raincheck-ID\r\n"
        "X-Request-Id: REQUEST-ID\r\nX-Original-Method: PUT\r\nX-Original-URI: /r?q=1\r\n"
        "X-Forwarded-Method: PUT\r\nX-Forwarded-Uri: /r?q=1\r\nContent-Length: 0\r\n\r\n"
        "\nThe call to a:\n\n"
        "PUT /r?q=1 HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nX-Original-URI: /\r\n"
        "Range: bytes=1-\r\nX-User: ***\r\nVia: 1.1 raincheck-ID\r\n"
        "X-Request-Id: REQUEST-ID\r\nX-Who: ***\r\nContent-Length: 2\r\n\r\n");
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
