#include "jobs/prefer.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <random>
#include <string>
#include <vector>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

Prefer parse(const std::vector<std::string_view>& values) {
  return parse_prefer(values);
}

constexpr std::optional<milliseconds> none;

struct Row {
  std::string_view value;
  bool respond_async;
  std::optional<milliseconds> wait;
  bool wait_without_value = false;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    CAPTURE(row.value);
    const Prefer prefer = parse({row.value});
    CHECK(prefer.respond_async == row.respond_async);
    CHECK(prefer.wait == row.wait);
    CHECK(prefer.wait_without_value == row.wait_without_value);
  }
}

}  // namespace

TEST_CASE("preferences are a list of names with values, in any case and spacing") {
  check({{"respond-async", true, none},
         {"Respond-ASYNC", true, none},
         {"wait=10", false, 10s},
         {"WAIT=10", false, 10s},
         {"respond-async, wait=10", true, 10s},
         {"respond-async,wait=10", true, 10s},
         {"wait = 10", false, 10s},
         {"  wait\t=\t10\t,\trespond-async  ", true, 10s},
         {"wait=0", false, 0s},
         {"wait=\"10\"", false, 10s},
         {"respond-async, handling=lenient", true, none},
         {"return=minimal, foo, bar=\"x\", wait=5", false, 5s},
         {"respond-async=\"\"", true, none},
         {",, ,respond-async,,", true, none},
         {"", false, none},
         {"   ", false, none},
         {"respond-sync", false, none}});
}

TEST_CASE("a bare wait is told apart") {
  check({{"wait", false, none, true},
         {"wait, respond-async", true, none, true},
         {"wait=\"\"", false, none, true},
         {"wait; x=1", false, none, true}});
}

TEST_CASE("parameters are passed over, quoted ones with commas and semicolons too") {
  check({{"respond-async; foo=bar, wait=10; x", true, 10s},
         {"wait=10;a=\"b,c;d\\\",e\", respond-async", true, 10s},
         {"foo=\"respond-async, wait=1\", wait=2", false, 2s},
         {"wait=3 ; ; x = y ;", false, 3s},
         {"foo; wait=10", false, none},
         {"foo; respond-async", false, none}});
}

TEST_CASE("the first of duplicates counts, within a field and among fields") {
  check({{"wait=1, wait=2", false, 1s},
         {"wait, wait=2", false, none, true},
         {"wait=2, wait", false, 2s},
         {"respond-async, respond-async", true, none}});
  const Prefer prefer = parse({"wait=7", "respond-async, wait=8"});
  CHECK(prefer.respond_async);
  CHECK(prefer.wait == 7s);
  CHECK_FALSE(parse({}).respond_async);
}

TEST_CASE("what is malformed is ignored, and only that") {
  check({{"wait: 10s", false, none},
         {"wait=10s", false, none},
         {"wait=-1", false, none},
         {"wait=1.5", false, none},
         {"wait=abc, wait=4", false, 4s},
         {"wait=, wait=4", false, 4s},
         {"wait 10, respond-async", true, none},
         {"=10, respond-async", true, none},
         {"@bad, respond-async", true, none},
         {"respond-async foo", false, none},
         {"respond-async;;a=@, wait=3", false, 3s},
         {"respond-async; a=, wait=3", false, 3s},
         {"respond-async; a=\"never closed", false, none},
         {"@ \"x\\\", respond-async, \\\"y\", wait=3", false, 3s},
         {"respond-async=yes", false, none},
         {"foo \"a, respond-async\", wait=3", false, 3s},
         {"foo=\"never closed, respond-async", false, none},
         {"respond-async, foo=\"never closed", true, none},
         {"respond-async, foo=\"ends with \\", true, none},
         {"wait=\"10\"x", false, none},
         {"wait=\"1\\0\"", false, none}});
}

TEST_CASE("a wait is at most a day, however many digits it has") {
  check({{"wait=86400", false, 24h},
         {"wait=86401", false, 24h},
         {"wait=99999999999999999999999999999999", false, 24h}});
}

TEST_CASE("any bytes are read to their end") {
  std::mt19937 random(7);
  const std::string_view alphabet = "wait=respond-async,;\" \\\t1\x80@";
  for (int i = 0; i < 50'000; ++i) {
    std::string value;
    for (std::size_t n = random() % 24; n > 0; --n) value += alphabet[random() % alphabet.size()];
    const Prefer prefer = parse({value});
    if (prefer.wait) CHECK_FALSE(prefer.wait_without_value);
  }
}
