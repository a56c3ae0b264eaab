#include <doctest/doctest.h>

#include <string>

#include "config/load.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace std::chrono_literals;

namespace {

config::Follow follow_of(const std::string& route, const std::string& defaults = "{}") {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { u: http://localhost:8000 }\ndefaults: { route: " + defaults +
      " }\nroutes:\n  - { match: /x, upstream: u, async: { " + route + " } }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  return loaded.config.routes.at(0).async.follow;
}

}  // namespace

TEST_CASE("a backend is followed if the route says so, or says how") {
  CHECK_FALSE(follow_of("").enabled);
  CHECK_FALSE(follow_of("follow: false").enabled);
  CHECK(follow_of("follow: true").enabled);
  CHECK(follow_of("follow: {}").enabled);
  const config::Follow follow =
      follow_of("follow: { headers: [X-Poll], interval: 1s, pending: [], status: '' }");
  CHECK(follow.enabled);
  CHECK(follow.headers == std::vector<std::string>{"X-Poll"});
  CHECK(follow.interval == 1s);
  CHECK(follow.max_interval == 60s);
  CHECK(follow.pending.empty());
  CHECK(follow.failed.size() == 4);
}

TEST_CASE("what all routes begin with is true of following too") {
  CHECK(follow_of("", "{ async: { follow: true } }").enabled);
  CHECK_FALSE(follow_of("follow: false", "{ async: { follow: true } }").enabled);
  CHECK(follow_of("follow: true", "{ async: { follow: { interval: 9s } } }").interval == 9s);
}
