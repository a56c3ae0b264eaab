#include "proxy/explain.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

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
      "Checks:\n"
      "ok size: 5 bytes of body, of 10MiB at most\n"
      "-- mode: always\n"
      "ok idempotency key: none, and none is required in Idempotency-Key\n"
      "-- validate: no rules\nok request_body: the body stays as it is\n\n"
      "What follows: 202, a job\n\n"
      "The call to a:\n\n"
      "POST /x/a?q=1 HTTP/1.1\r\nHost: b\r\nAccept: x\r\nAuthorization: Bearer ***\r\n"
      "Via: 1.1 raincheck-ID\r\nX-Request-Id: REQUEST-ID\r\nX-Id: a a=b\r\n"
      "Content-Length: 5\r\n\r\n12345\n");
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
  CHECK(text.find("The question to http://auth:9, which comes first:\n\n"
                  "POST /check HTTP/1.1\r\nHost: auth:9\r\nCookie: a=b\r\nX-User: forged\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: localhost\r\n"
                  "Via: 1.1 raincheck-ID\r\nX-Request-Id: REQUEST-ID\r\n"
                  "X-Original-Method: PUT\r\nX-Original-URI: /r?q=1\r\n"
                  "X-Forwarded-Method: PUT\r\nX-Forwarded-Uri: /r?q=1\r\n"
                  "Content-Length: 0\r\n\r\n") != text.npos);
  CHECK(text.substr(text.find("The call to")) ==
        "The call to a:\n\n"
        "PUT /r?q=1 HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nX-Original-URI: /\r\n"
        "Range: bytes=1-\r\nX-User: ***\r\nVia: 1.1 raincheck-ID\r\n"
        "X-Request-Id: REQUEST-ID\r\nX-Who: ***\r\nContent-Length: 2\r\n\r\n12\n");
}

TEST_CASE("what the gate refuses never comes to a route") {
  CHECK(explain({"POST", "/r/a\\b", {}, ""}) ==
        "Refused with 400: The target has a character that is not allowed.\n");
  CHECK(explain({"POST", "/r/%00", {}, ""}) ==
        "Refused with 400: the path holds an encoded slash, backslash or NUL\n");
  CHECK(explain({"OPTIONS", "*", {}, ""}) == "Answered here with 204: it asks for no path\n");
  CHECK(explain({"POST", "/r/a", {"Transfer-Encoding: gzip"}, ""})
            .find("Refused with 400: The last transfer coding is not chunked") == 0);
  CHECK(explain({"TRACE", "/r/a", {}, ""}).find("Refused with 405: ") == 0);
  CHECK(explain({"POST", "/r/a", {"X: " + std::string(40'000, 'y')}, ""})
            .find("Refused with 431: ") == 0);
}

namespace {

struct Case {
  const char* name;
  Question question;
  std::vector<std::string> told;  // in this order
};

void check(const std::vector<Case>& cases) {
  const std::string routes =
      "upstreams: { a: http://a:81 }\nroutes:\n"
      "  - name: r\n    match: /r/{id}\n    upstream: a\n    limits: { body: 20B }\n"
      "    async:\n      mode: prefer\n      idempotency_key: { required: true }\n"
      "    validate:\n      content_types: [application/json]\n"
      "      headers: { X-Customer: required }\n      query: { format: pdf|csv }\n"
      "    cors: { allow_origins: ['https://good.example'] }\n"
      "  - name: w\n    match: /w\n    upstream: a\n    async: { wait: 2s }\n"
      "  - { name: f, match: /f, upstream: a, async: { follow: true } }\n";
  const config::Loaded loaded = config::load_text("x.yaml", routes, config::Environment::empty());
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto out = proxy::explain(loaded.config, table, c.question);
    CAPTURE(out.text);
    CHECK(out.is_asked_well);
    std::size_t at = 0;
    for (const std::string& told : c.told) {
      CAPTURE(told);
      const std::size_t found = out.text.find(told, at);
      CHECK(found != std::string::npos);
      if (found != std::string::npos) at = found;
    }
  }
}

const std::string json = "Content-Type: application/json";
const std::string async = "Prefer: respond-async";
const std::string key = "Idempotency-Key: k";
const std::string customer = "X-Customer: c";

}  // namespace

TEST_CASE("each check of the route is told with what would follow") {
  check({
      {"everything is well",
       {"POST", "/r/1?format=pdf", {json, async, key, customer}, "{}"},
       {"ok size: 2 bytes of body, of 20B at most", "-- mode: prefer, and Prefer asks",
        "ok idempotency key: 'k'", "ok validate: ", "What follows: 202, a job\n"}},
      {"no key",
       {"POST", "/r/1", {json, async, customer}, "{}"},
       {"no idempotency key: This route needs the field Idempotency-Key.: 400",
        "ok validate: ", "What follows: it is refused with 400\n"}},
      {"everything is wrong, and the first counts",
       {"POST", "/r/1?format=doc", {async, "Content-Type: text/plain"}, std::string(21, 'x')},
       {"no size: 21 bytes of body, of 20B at most: 413", "no idempotency key: ",
        "no validate: header Content-Type must be application/json; header X-Customer is "
        "required; parameter format must match the pattern pdf|csv: 415\n",
        "What follows: it is refused with 413\n"}},
      {"a plain call is asked for nothing",
       {"POST", "/r/1?format=doc", {}, "x"},
       {"-- mode: prefer, and Prefer does not ask for respond-async",
        "What follows: a plain call, for whose answer the client waits\n"}},
  });
}

TEST_CASE("what is refused shows no call, and asks nobody whether it may be made") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes:\n  - match: /r\n    upstream: a\n"
      "    limits: { body: 2B }\n    async: { idempotency_key: { required: true } }\n"
      "    validate: { headers: { X-Need: required } }\n"
      "    authorize: { url: 'http://auth:9/check' }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const std::string need = "X-Need: x";
  const auto told = [&](const Question& question) {
    return proxy::explain(loaded.config, table, question).text;
  };
  const std::vector<std::pair<Question, std::string>> refused = {
      {{"POST", "/r", {key, need}, "123"}, "413"},
      {{"POST", "/r", {need}, "12"}, "400"},
      {{"POST", "/r", {key}, "12"}, "400"},
  };
  for (const auto& [question, status] : refused) {
    const std::string text = told(question);
    CAPTURE(text);
    CHECK(text.ends_with("What follows: it is refused with " + status + "\n"));
  }
  const std::string text = told({"POST", "/r", {key, need}, "12"});
  CHECK(text.find("\nThe question to ") != text.npos);
  CHECK(text.find("\nThe call to ") != text.npos);
}

TEST_CASE("what no route takes goes to the default upstream as it is") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a, b: http://b }\ndefault_upstream: b\n"
      "listeners: [{ address: '127.0.0.1:80', limits: { body: 2B } }]\n"
      "routes: [{ name: r, match: POST /r, upstream: a }]\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const std::string text = proxy::explain(loaded.config, table, {"PUT", "/r", {}, "12"}).text;
  CHECK(text.find("Path /r: no route, so the default upstream 'b'\n") == 0);
  CHECK(text.find("\nWhat follows: a plain call, for whose answer the client waits\n\n"
                  "The call to b:\n\nPUT /r HTTP/1.1\r\nHost: b\r\n") != text.npos);
  CHECK(text.ends_with("Content-Length: 2\r\n\r\n12\n"));
  CHECK(proxy::explain(loaded.config, table, {"PUT", "/r", {}, "123"})
            .text.ends_with("What follows: it is refused with 413\n"));
}

TEST_CASE("a plain call is shown with the upgrade that it asks for") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes: [{ match: /r, upstream: a }]\n");
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const Question question{"GET", "/r", {"Connection: Upgrade", "Upgrade: websocket"}, ""};
  const std::string text = proxy::explain(loaded.config, table, question).text;
  CHECK(
      text.ends_with("X-Request-Id: REQUEST-ID\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\n\r\n"));
}

TEST_CASE("only a call that becomes a job has the id of one") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes:\n  - match: /r\n    upstream: a\n"
      "    async: { mode: prefer }\n"
      "    request_headers: { set: { X-Job: '<${job.id}>' } }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const auto told = [&](const std::vector<std::string>& headers) {
    return proxy::explain(loaded.config, table, {"GET", "/r", headers, ""}).text;
  };
  CHECK(told({async}).find("X-Job: <JOB-ID>\r\n") != std::string::npos);
  CHECK(told({}).find("JOB-ID") == std::string::npos);
  CHECK(told({async, "Connection: Upgrade", "Upgrade: websocket"}).find("JOB-ID") ==
        std::string::npos);
}

TEST_CASE("TLS is told of, and what stands for a client's certificate") {
  const config::Loaded loaded = config::tests::load_alone(
      "listeners:\n  - tls:\n      certificates: [{ cert_file: /c, key_file: /k }]\n"
      "      client_auth: optional\n      client_ca_file: /ca\n"
      "upstreams: { a: https://a }\nroutes:\n  - match: /r\n    upstream: a\n"
      "    request_headers: { set: { X-By: '${client.certificate.subject}' } }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const routes::RouteTable table(loaded.config);
  const std::string told = proxy::explain(loaded.config, table, {"GET", "/r", {}, ""}).text;
  CHECK(told.find("The call to a, over TLS:\n") != std::string::npos);
  CHECK(told.find("Host: a\r\n") != std::string::npos);
  CHECK(told.find("X-Forwarded-Proto: https\r\n") != std::string::npos);
  CHECK(told.find("X-By: CLIENT-SUBJECT\r\n") != std::string::npos);
}

TEST_CASE("how a call is made is told, and what browsers hear") {
  check({
      {"an upgrade",
       {"GET", "/r/1", {async, "Connection: Upgrade", "Upgrade: websocket"}, ""},
       {"-- mode: prefer, but not for an upgrade", "What follows: a plain call"}},
      {"credentials of a connection",
       {"GET", "/w", {"Authorization: NTLM abc"}, ""},
       {"no credentials: NTLM and Negotiate", "What follows: it is refused with 400\n"}},
      {"a window", {"GET", "/w", {}, ""}, {"the answer, if there is one within 2s; else 202"}},
      {"a backend that answers 202 itself",
       {"GET", "/f", {}, ""},
       {"What follows: 202, a job; if the backend answers 202, it is asked for the result\n"}},
      {"a window that is asked for",
       {"GET", "/w", {"Prefer: wait=5"}, ""},
       {"the answer, if there is one within 5s; else 202"}},
      {"an origin that is allowed",
       {"GET", "/r/1", {"Origin: https://good.example"}, ""},
       {"-- cors: https://good.example may read the answer"}},
      {"an origin that is not",
       {"GET", "/r/1", {"Origin: https://evil.example"}, ""},
       {"-- cors: https://evil.example is told nothing"}},
      {"a preflight",
       {"OPTIONS",
        "/r/1",
        {"Origin: https://good.example", "Access-Control-Request-Method: POST"},
        ""},
       {"a preflight for route 'r', answered here with 204:\n\n",
        "Access-Control-Allow-Origin: https://good.example"}},
  });
}

TEST_CASE("what is no call and what is no request is said in words") {
  CHECK(explain({"GET", "/r/a", {}, ""}) ==
        "Path /r/a: no route\n\n  r: its methods are POST\n\n"
        "What follows: it is refused with 405, and Allow: POST\n");
  CHECK(explain({"GET", "/s", {}, ""}) ==
        "Path /s: no route\n\n  r: its path is /r/{id}\n\n"
        "What follows: it is refused with 404\n");
  CHECK(explain({"GET", "/_jobs/x", {}, ""}) ==
        "Path /_jobs/x belongs to jobs: no route is asked\n");
  CHECK(explain({"POST", "/r/a b", {}, ""}, false) ==
        "the URL holds a space or a control character");
  CHECK(explain({"POST", "/r/a\r\nX: y", {}, ""}, false) ==
        "the URL holds a space or a control character");
  CHECK(explain({"P T", "/r/a", {}, ""}, false) == "'P T' is not a method");
  CHECK(explain({"POST", "http://a b/", {}, ""}, false) == "the URL has no valid host");
  CHECK(explain({"POST", "/r/a", {"x"}, ""}, false) == "'x' is not a header: write 'Name: value'");
}

TEST_CASE("the body that a backend would get is shown, or why there is no call") {
  const std::string changed = explain(
      {"POST", "/r/a", {"Content-Type: application/json", "Content-MD5: x"}, R"({"is":"old"})"});
  CHECK(changed.find("Content-MD5") == std::string::npos);
  CHECK(changed.ends_with("Content-Length: 24\r\n\r\n{\"is\":\"a\",\"token\":\"***\"}\n"));
  CHECK(explain({"POST", "/r/a", {"Content-Type: text/plain"}, "old bold"})
            .ends_with("Content-Length: 4\r\n\r\na ba\n"));
  CHECK(explain({"POST", "/r/a", {"Content-Type: application/json"}, "<old>"})
            .find("\nno request_body: the body is not JSON: ") != std::string::npos);
  CHECK(explain({"POST", "/r/a", {"Content-Type: text/plain", "Content-Encoding: zstd"}, "old"})
            .find("\nno request_body: the coding of the body is not known: zstd: 415\n") !=
        std::string::npos);
}
