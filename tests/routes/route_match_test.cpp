// Hosts, headers and query of a match; paths and methods are in route_table_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "routes/route_table.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

// A configuration with one route for each match, in YAML.
config::Loaded load_routes(const std::vector<std::string>& matches) {
  std::string text = "upstreams: { a: http://a }\nroutes:\n";
  for (const std::string& match : matches) text += "  - { upstream: a, match: " + match + " }\n";
  return config::tests::load_alone(text);
}

struct Request {
  std::string_view host;
  std::string_view path;
  std::string_view query;
  std::string_view lines;
  std::string_view method = "GET";
};

// The name of the route that is found, which says its match.
std::string find(const RouteTable& table, const Request& request) {
  Fields fields;
  fields.assign(request.lines);
  const auto match =
      table.match({request.method, request.host, request.path, request.query, &fields});
  if (match) return match.route->name;
  return match.is_path_known ? "405" : "404";
}

struct Case {
  Request request;
  std::string_view expected;
};

// Whatever the order of the file.
void check(std::vector<std::string> matches, const std::vector<Case>& cases) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same order in every run
  for (int round = 0; round < 20; ++round) {
    const config::Loaded loaded = load_routes(matches);
    CAPTURE(config::tests::complaints(loaded));
    REQUIRE(loaded.ok);
    const RouteTable table(loaded.config);
    REQUIRE(table.problems().empty());
    for (const Case& c : cases) {
      CAPTURE(c.request.host);
      CAPTURE(c.request.path);
      CAPTURE(c.request.query);
      CAPTURE(c.request.lines);
      CHECK(find(table, c.request) == c.expected);
    }
    std::shuffle(matches.begin(), matches.end(), random);
  }
}

std::vector<std::string> problems(const std::vector<std::string>& matches) {
  const config::Loaded loaded = load_routes(matches);
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  const RouteTable table(loaded.config);
  std::vector<std::string> texts;
  for (const auto& problem : table.problems()) {
    texts.push_back(std::to_string(problem.place.line) + ": " + problem.path + ": " +
                    problem.message);
  }
  return texts;
}

}  // namespace

TEST_CASE("a host wins over the longest suffix, and that over none, before the path decides") {
  check({"{ path: /x }", "{ path: '/*', hosts: [api.example.com] }",
         "{ path: '/*', hosts: ['*.Example.com', '*.org'] }",
         "{ path: '/y', hosts: ['*.b.example.com'] }"},
        {
            {{"api.example.com", "/x"}, "api.example.com/*"},
            {{"API.Example.Com:8080", "/x"}, "api.example.com/*"},
            {{"b.example.com", "/x"}, "*.Example.com,*.org/*"},
            {{"a.b.example.com", "/x"}, "*.Example.com,*.org/*"},
            {{"a.b.example.com", "/y"}, "*.b.example.com/y"},
            {{"x.org", "/z"}, "*.Example.com,*.org/*"},
            {{"org", "/x"}, "/x"},
            {{"example.com", "/x"}, "/x"},
            {{"badexample.com", "/x"}, "/x"},
            {{"", "/x"}, "/x"},
            {{"other", "/y"}, "404"},
            {{"[::1]:80", "/x"}, "/x"},
        });
}

TEST_CASE("a host without a route for the request hides none that has no host") {
  check({"{ path: /x, hosts: [a], methods: [POST] }", "{ path: /x, methods: [GET] }"},
        {{{"a", "/x"}, "GET /x"},
         {{"a", "/x", "", "", "POST"}, "POST a/x"},
         {{"b", "/x", "", "", "POST"}, "405"},
         {{"a", "/x", "", "", "PUT"}, "405"}});
}

TEST_CASE("more headers win, then more of the query, after the method") {
  check({"{ path: /x }", "{ path: /x, headers: { X-Version: '2' } }",
         "{ path: /x, headers: { X-Version: '2', x-beta: 'yes' } }",
         "{ path: /x, query: { mode: full text } }", "{ path: /x, methods: [POST] }",
         "{ path: /x, headers: { X-Version: '3' }, query: { a: '1' } }"},
        {
            {{"", "/x"}, "/x"},
            {{"", "/x", "", "X-Version: 1\r\n"}, "/x"},
            {{"", "/x", "", "x-version: 2\r\n"}, "/x X-Version=2"},
            {{"", "/x", "", "X-Version: 2\r\nX-Version: 1\r\n"}, "/x X-Version=2"},
            {{"", "/x", "", "X-Version: 1\r\nX-Version: 2\r\n"}, "/x"},
            {{"", "/x", "", "X-Version: 2\r\nX-Beta: yes\r\n"}, "/x X-Version=2 x-beta=yes"},
            {{"", "/x", "", "X-Version: 2\r\nX-Beta: Yes\r\n"}, "/x X-Version=2"},
            {{"", "/x", "a=b&mode=full+text"}, "/x?mode=full text"},
            {{"", "/x", "%6dode=full%20text"}, "/x?mode=full text"},
            {{"", "/x", "mode=full"}, "/x"},
            {{"", "/x", "mode"}, "/x"},
            {{"", "/x", "mode=full%20text", "X-Version: 2\r\n"}, "/x X-Version=2"},
            {{"", "/x", "mode=full%20text", "X-Version: 2\r\n", "POST"}, "POST /x"},
            {{"", "/x", "a=1", "X-Version: 3\r\n"}, "/x?a=1 X-Version=3"},
            {{"", "/x", "a=2", "X-Version: 3\r\n"}, "/x"},
        });
}

TEST_CASE("a route whose headers are not there is no reason for 405") {
  check({"{ path: /x, methods: [POST], headers: { X-A: a } }"},
        {{{"", "/x"}, "404"},
         {{"", "/x", "", "X-A: a\r\n"}, "405"},
         {{"", "/x", "", "", "POST"}, "404"}});
}

TEST_CASE("routes that could both win are refused, with both places") {
  CHECK(problems({"{ path: /x, hosts: [A, b] }", "{ path: /x, hosts: [c, a] }"}) ==
        std::vector<std::string>{"4: routes[1].match: 'a/x' matches the same requests as 'a/x' at "
                                 "x.yaml:3:5"});
  CHECK(problems({"{ path: /x, headers: { X-A: a } }", "{ path: /x, headers: { X-B: b } }"}) ==
        std::vector<std::string>{"4: routes[1].match: '/x' matches the same requests as '/x' at "
                                 "x.yaml:3:5"});
  CHECK(problems({"{ path: /x, query: { a: a } }", "{ path: /x, query: { A: a } }"}).size() == 1);
  CHECK(problems({"{ path: '/{a}', methods: [GET, PUT], query: { a: a } }",
                  "{ path: '/{b}', methods: [PUT], query: { a: a } }"}) ==
        std::vector<std::string>{"4: routes[1].match: '/{b}' matches the same PUT requests as "
                                 "'/{a}' at x.yaml:3:5"});
  for (const std::string other :
       {"{ path: /x, headers: { x-a: b } }", "{ path: /x, headers: { X-A: a, X-B: b } }",
        "{ path: /x, headers: { X-A: a }, hosts: [a] }",
        "{ path: /x, headers: { X-A: a }, methods: [GET] }",
        "{ path: /x, headers: { X-A: a }, query: { a: b } }", "{ path: /x }",
        "{ path: '/*', headers: { X-A: a } }"}) {
    CAPTURE(other);
    CHECK(problems({"{ path: /x, headers: { X-A: a } }", other}).empty());
  }
}

TEST_CASE("what is wrong with a route's rules is said where it stands") {
  const auto loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes:\n  - match: /r/{id}\n    upstream: a\n"
      "    rewrite: { path: '/x/${path.di}' }\n"
      "    request_headers: { set: { X-A: '${request.hots}' } }\n"
      "    response_headers: { add: { X-B: '${elephant.x}' }, rewrite_cookies: { domain: "
      "'${heder.x}' "
      "} }\n");
  REQUIRE(loaded.ok);
  const RouteTable table(loaded.config);
  std::vector<std::string> texts;
  for (const auto& problem : table.problems()) {
    texts.push_back(std::to_string(problem.place.line) + ":" +
                    std::to_string(problem.place.column) + " " + problem.path);
  }
  CHECK(texts == std::vector<std::string>{"5:22 routes[0].rewrite.path",
                                          "6:36 routes[0].request_headers.set.X-A",
                                          "7:83 routes[0].response_headers.rewrite_cookies.domain",
                                          "7:37 routes[0].response_headers.add.X-B"});
}

TEST_CASE("the hash key of an upstream knows requests, but no route's path") {
  for (const auto& pair :
       {std::pair{"${cookie.SESSION}", ""},
        {"${header.X-Tenant}/${query.id:-none}", ""},
        {"${path.id}", "'${path.id}' cannot be used here: it belongs to a route"}}) {
    // Not a structured binding: clang 14 cannot capture one.
    const std::string key = pair.first;
    const std::string why = pair.second;
    CAPTURE(key);
    const auto loaded = config::tests::load_alone(
        "upstreams: { b: http://b, a: { servers: [http://a], lb_policy: hash, hash_key: '" + key +
        "' } }\ndefault_upstream: a\n");
    REQUIRE(loaded.ok);
    const RouteTable table(loaded.config);
    CHECK(table.hash_key(0) == nullptr);
    REQUIRE(table.hash_key(1) != nullptr);
    REQUIRE(table.problems().empty() == std::string_view(why).empty());
    if (table.problems().empty()) continue;
    CHECK(table.problems()[0].path == "upstreams.a.hash_key");
    CHECK(table.problems()[0].place.line == 1);
    CHECK(table.problems()[0].message == why);
  }
}
