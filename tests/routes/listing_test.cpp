#include "routes/listing.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

constexpr std::string_view text =
    "upstreams: { a: http://a }\n"
    "default_upstream: a\n"
    "routes:\n"
    "  - { match: '/*', upstream: a, async: { mode: never, follow: true } }\n"
    "  - { name: one, match: 'POST /r/{id}', upstream: a, rewrite: { path: '/x/${path.id}' }, "
    "async: { follow: true }, authorize: { url: 'http://auth:9/check' } }\n"
    "  - { name: two, match: { path: /r/new, headers: { X-A: b }, query: { q: '1' } }, upstream: "
    "a, "
    "rewrite: { host: h, path: /y } }\n"
    "  - { name: three, match: { path: '/*', hosts: ['*.org'] }, upstream: a, async: { mode: "
    "prefer "
    "} }\n";

std::string reasons(const Asked& asked) {
  const config::Loaded loaded = config::tests::load_alone(text);
  REQUIRE(loaded.ok);
  const RouteTable table(loaded.config);
  std::string out;
  for (const Reason& reason : explain_match(loaded.config, table, asked)) {
    out += (reason.is_taken ? "> " : "") + reason.route->name + ": " + reason.why + "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("the table of routes begins with the most specific") {
  const config::Loaded loaded = config::tests::load_alone(text);
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  CHECK(list_routes(loaded.config) ==
        "NAME   MATCH             MODE    FOLLOW  UPSTREAM  REWRITE        AUTHORIZE\n"
        "three  *.org/*           prefer  -       a         -              -\n"
        "two    /r/new?q=1 X-A=b  always  -       a         //h/y          -\n"
        "one    POST /r/{id}      always  yes     a         /x/${path.id}  http://auth:9/check\n"
        "/*     /*                never   -       a         -              -\n"
        "-      everything else   never   -       a         -              -\n");
}

TEST_CASE("each route says why it takes a request or does not") {
  Fields fields;
  fields.push_back({"X-A", "c"});
  CHECK(reasons({"POST", "x.org:80", "/r/new", "", &fields}) ==
        "> three: it matches, and none is more specific\n"
        "two: it wants the header X-A=b\n"
        "one: it matches, but 'three' is more specific\n"
        "/*: it matches, but 'three' is more specific\n");
  CHECK(reasons({"GET", "x.com", "/r/new", "", nullptr}) ==
        "three: its hosts are *.org\n"
        "two: the request has no X-A\n"
        "one: its methods are POST\n"
        "> /*: it matches, and none is more specific\n");
  fields.clear();
  fields.push_back({"x-a", "b"});
  CHECK(reasons({"POST", "", "/r/new", "q=2", &fields}) ==
        "three: its hosts are *.org\n"
        "two: it wants the query q=1\n"
        "> one: it matches, and none is more specific\n"
        "/*: it matches, but 'one' is more specific\n");
  CHECK(reasons({"POST", "", "/r/", "", nullptr}).find("one: its path is /r/{id}\n") !=
        std::string::npos);
}
