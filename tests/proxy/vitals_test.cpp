#include "proxy/vitals.hpp"

#include <doctest/doctest.h>

using namespace raincheck;
using namespace raincheck::proxy;
using namespace std::chrono_literals;

namespace {

const jobs::TimePoint now = jobs::TimePoint() + 1h;

TEST_CASE("what got on within the bound is well, and what has nothing to do too") {
  CHECK(check_progress("writer", now, now, 10s).trouble.empty());
  CHECK(check_progress("writer", now - 10s, now, 10s).trouble.empty());
  CHECK(check_progress("writer", jobs::TimePoint::max(), now, 10s).trouble.empty());
  CHECK(check_progress("writer", now + 1ms, now, 10s).trouble.empty());
}

TEST_CASE("what stands for longer is named, with for how long") {
  const Vital check = check_progress("writer", now - 10'001ms, now, 10s);
  CHECK(check.name == "writer");
  CHECK(check.trouble == "no progress for 10 s");
}

TEST_CASE("checks are shown as JSON: those that failed, or all") {
  const std::vector<Vital> good = {{"loop", ""}, {"store", ""}};
  CHECK(all_well(good));
  CHECK(show_checks(good, false) == "{\"status\":\"ok\",\"checks\":{}}\n");
  CHECK(show_checks(good, true) ==
        "{\"status\":\"ok\",\"checks\":{\"loop\":\"ok\",\"store\":\"ok\"}}\n");
  const std::vector<Vital> bad = {{"loop", ""}, {"store", "a \"b\""}, {"queue", "full"}};
  CHECK_FALSE(all_well(bad));
  CHECK(show_checks(bad, false) ==
        "{\"status\":\"failed\",\"checks\":{\"store\":\"a \\\"b\\\"\",\"queue\":\"full\"}}\n");
  CHECK(troubles(bad) == "store: a \"b\", queue: full");
}

}  // namespace
