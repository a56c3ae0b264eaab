#include "routes/cors.hpp"

#include <doctest/doctest.h>

#include "config/load.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

const std::string app = "https://app.example.com";

config::Cors settings(std::vector<std::string> origins) {
  config::Cors out;
  out.allow_origins = std::move(origins);
  return out;
}

std::string answer(const Cors& cors, const std::string& origin) {
  const std::string lines = origin.empty() ? "" : "Origin: " + origin + "\r\n";
  Fields request;
  request.assign(lines);
  std::string out;
  cors.append_answer(request, out);
  return out;
}

std::string preflight(const Cors& cors, const std::string& lines) {
  Fields request;
  request.assign(lines);
  std::string out;
  cors.append_preflight(request, "POST", out);
  return out;
}

bool allows(const std::string& allowed, const std::string& origin) {
  const std::string fields = answer(Cors(settings({allowed})), origin);
  CHECK(fields.starts_with("Vary: Origin\r\n"));
  const bool yes = fields.find("Access-Control-Allow-Origin: " + origin + "\r\n") != fields.npos;
  CHECK(yes == (fields.find("Access-Control-") != fields.npos));
  return yes;
}

std::string complaints_about(const std::string& cors) {
  return config::tests::complaints(config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes: [{ match: /x, upstream: a, cors: " + cors + " }]\n"));
}

}  // namespace

TEST_CASE("origins are compared exactly") {
  CHECK(allows(app, app));
  for (const std::string other :
       {"http://app.example.com", "https://app.example.com:8443", "https://APP.example.com",
        "https://app.example.com.evil.org", "https://xapp.example.com", "null", ""}) {
    CAPTURE(other);
    CHECK_FALSE(allows(app, other));
  }
}

TEST_CASE("a star in an origin stands for one label") {
  const std::string pattern = "https://*.example.com:8443";
  CHECK(allows(pattern, "https://a.example.com:8443"));
  CHECK(allows(pattern, "https://a-1.example.com:8443"));
  for (const std::string other :
       {"https://example.com:8443", "https://.example.com:8443", "https://a.b.example.com:8443",
        "https://a.example.com", "http://a.example.com:8443", "https://evil.org/.example.com:8443",
        "https://evil.org#.example.com:8443", "https://a:1@b.example.com:8443"}) {
    CAPTURE(other);
    CHECK_FALSE(allows(pattern, other));
  }
}

TEST_CASE("every origin is allowed with a star, whether or not one is told") {
  const Cors cors(settings({"*"}));
  const std::string fields =
      "Access-Control-Allow-Origin: *\r\n"
      "Access-Control-Expose-Headers: Location, Retry-After, ETag\r\n";
  CHECK(answer(cors, app) == fields);
  CHECK(answer(cors, "") == fields);
}

TEST_CASE("an answer says who may read it, and which fields") {
  config::Cors with = settings({app});
  with.allow_credentials = true;
  with.expose_headers = {"X-Total"};
  CHECK(answer(Cors(with), app) ==
        "Vary: Origin\r\nAccess-Control-Allow-Origin: https://app.example.com\r\n"
        "Access-Control-Allow-Credentials: true\r\n"
        "Access-Control-Expose-Headers: Location, Retry-After, ETag, X-Total\r\n");
  CHECK(answer(Cors(), app).empty());
}

TEST_CASE("two fields named Origin allow nothing") {
  Fields request;
  request.assign("Origin: https://app.example.com\r\nOrigin: https://app.example.com\r\n");
  std::string out;
  Cors(settings({app})).append_answer(request, out);
  CHECK(out == "Vary: Origin\r\n");
}

TEST_CASE("a preflight is an OPTIONS with an origin and a method") {
  Fields request;
  request.assign("Origin: null\r\nAccess-Control-Request-Method: PUT\r\n");
  CHECK(Cors::asked_method("OPTIONS", request) == "PUT");
  CHECK(Cors::asked_method("GET", request).empty());
  request.assign("Origin: null\r\nAccess-Control-Request-Method: a b\r\n");
  CHECK(Cors::asked_method("OPTIONS", request).empty());
  request.assign("Origin: null\r\n");
  CHECK(Cors::asked_method("OPTIONS", request).empty());
  request.assign("Access-Control-Request-Method: PUT\r\n");
  CHECK(Cors::asked_method("OPTIONS", request).empty());
}

TEST_CASE("the answer to a preflight allows what was asked for, or what the route lists") {
  const std::string vary =
      "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n";
  const std::string asked =
      "Origin: https://app.example.com\r\n"
      "Access-Control-Request-Headers: content-type, a b,, x-one\r\n";
  config::Cors with = settings({app});
  with.max_age = config::milliseconds(90'000);
  CHECK(preflight(Cors(with), asked) ==
        vary +
            "Access-Control-Allow-Origin: https://app.example.com\r\n"
            "Access-Control-Allow-Methods: POST\r\n"
            "Access-Control-Allow-Headers: content-type, x-one\r\nAccess-Control-Max-Age: 90\r\n");
  with.allow_headers = {"Content-Type", "X-Two"};
  CHECK(preflight(Cors(with), asked).find("-Headers: Content-Type, X-Two\r\n") !=
        std::string::npos);
  CHECK(preflight(Cors(with), "Origin: https://evil.org\r\n") == vary);
}

TEST_CASE("of several routes an origin gets the most that one gives it") {
  config::Cors trusting = settings({app});
  trusting.allow_credentials = true;
  trusting.max_age = config::milliseconds(5'000);
  trusting.allow_headers = {"X-One"};
  for (const bool is_first : {true, false}) {
    Cors all;
    if (is_first) all.add(Cors(trusting));
    all.add(Cors(settings({"*"})));
    if (!is_first) all.add(Cors(trusting));
    const std::string own = preflight(all, "Origin: " + app + "\r\n");
    CHECK(own.find("Allow-Origin: https://app.example.com\r\n") != std::string::npos);
    CHECK(own.find("Allow-Credentials: true\r\n") != std::string::npos);
    CHECK(own.find("Max-Age: 5\r\n") != std::string::npos);
    const std::string other =
        preflight(all, "Origin: https://b.org\r\nAccess-Control-Request-Headers: Prefer\r\n");
    CHECK(other.find("Allow-Origin: *\r\n") != std::string::npos);
    CHECK(other.find("Credentials") == std::string::npos);
    CHECK(other.find("Allow-Headers: Prefer\r\n") != std::string::npos);
    CHECK(answer(all, "https://b.org").starts_with("Vary: Origin\r\n"));
  }
}

TEST_CASE("what the backend says of origins is taken out") {
  std::string lines =
      "Access-Control-Allow-Origin: *\r\nX-A: 1\r\naccess-control-max-age: 1\r\nVary: A\r\n";
  Cors::erase_from(lines);
  CHECK(lines == "X-A: 1\r\nVary: A\r\n");
}

TEST_CASE("origins that no browser sends, and a star with credentials, are refused") {
  CHECK(complaints_about("{ allow_origins: [" + app +
                         ", 'https://*.example.com', "
                         "'http://localhost:3000', 'http://[::1]:3000', 'capacitor://app'] }")
            .empty());
  CHECK(complaints_about("{ allow_origins: ['*'] }").empty());
  CHECK(complaints_about("{ allow_origins: [] }").empty());
  const auto expect = [](const std::string& cors, const std::string& words) {
    CAPTURE(cors);
    const std::string all = complaints_about(cors);
    CHECK_MESSAGE(all.find(words) != std::string::npos, all);
  };
  expect("{ allow_origins: ['*'], allow_credentials: true }", "every page could call");
  expect("{ max_age: 5m }", "cors.allow_origins: is required");
  expect("{ allow_origins: ['null'] }", "no origin to allow");
  expect("{ allow_origins: [app.example.com] }", "must be '*' or an origin");
  expect("{ allow_origins: ['https://App.example.com'] }", "lower case");
  expect("{ allow_origins: ['https://app.example.com/'] }", "write 'https://app.example.com'");
  expect("{ allow_origins: ['https://app.example.com:443'] }", "leave out ':443'");
  expect("{ allow_origins: ['https://a*.example.com'] }", "must be an origin");
  expect("{ allow_origins: ['https://*.*.example.com'] }", "must be an origin");
  expect("{ allow_headers: ['a b'], allow_origins: [] }", "not a header name");
}

TEST_CASE("the origins of a route are a default that a route can put away") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\n"
      "defaults: { route: { cors: { allow_origins: ['https://a.org'], allow_credentials: true } } "
      "}\n"
      "routes:\n  - { match: /x, upstream: a }\n"
      "  - { match: /y, upstream: a, cors: { allow_origins: [] } }\n");
  REQUIRE(config::tests::complaints(loaded).empty());
  CHECK(loaded.config.routes[0].cors.allow_credentials);
  CHECK(loaded.config.routes[1].cors.allow_origins.empty());
}
