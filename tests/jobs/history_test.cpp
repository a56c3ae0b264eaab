#include "jobs/history.hpp"

#include <doctest/doctest.h>

#include "jobs/json_object.hpp"

using namespace raincheck::jobs;

namespace {

PastAttempt an_attempt(std::uint32_t number) {
  PastAttempt attempt;
  attempt.number = number;
  attempt.began = milliseconds(5);
  attempt.took = milliseconds(7'411);
  attempt.status = 503;
  attempt.reason = "ok";
  attempt.server = "127.0.0.1:8081";
  return attempt;
}

}  // namespace

TEST_CASE("what came of attempts is read as it was kept") {
  std::string history;
  append_attempt(history, an_attempt(1));
  CHECK(history == "1 5 7411 503 ok 127.0.0.1:8081\n");
  PastAttempt unasked;
  unasked.number = 2;
  unasked.began = milliseconds(-3);  // the clock was set back
  unasked.reason = "upstream_unreachable";
  append_attempt(history, unasked);
  const auto attempts = read_history(history);
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].number == 1);
  CHECK(attempts[0].began == milliseconds(5));
  CHECK(attempts[0].took == milliseconds(7'411));
  CHECK(attempts[0].status == 503);
  CHECK(attempts[0].reason == "ok");
  CHECK(attempts[0].server == "127.0.0.1:8081");
  CHECK(attempts[1].began == milliseconds(0));
  CHECK(attempts[1].status == 0);
  CHECK(attempts[1].reason == "upstream_unreachable");
  CHECK(attempts[1].server.empty());
}

TEST_CASE("of many attempts the last ones are kept") {
  std::string history;
  for (std::uint32_t number = 1; number <= history_max; ++number) {
    append_attempt(history, an_attempt(number));
  }
  CHECK(read_history(history).size() == history_max);
  CHECK(read_history(history).front().number == 1);
  append_attempt(history, an_attempt(history_max + 1));
  const auto attempts = read_history(history);
  CHECK(attempts.size() == history_max);
  CHECK(attempts.front().number == 2);
  CHECK(attempts.back().number == history_max + 1);
}

TEST_CASE("what is no attempt is left out") {
  CHECK(read_history("").empty());
  for (const char* damaged :
       {"\n", "x", "1 2 3 200", "1 2 3 x ok s\n", "1 2 3 200 \n", "1x 2 3 4 ok s"}) {
    CAPTURE(damaged);
    CHECK(read_history(damaged).empty());
  }
  CHECK(read_history("x\n1 2 3 200 ok s").size() == 1);
}

TEST_CASE("a JSON object has commas between its members, and none of what is not set") {
  std::string out;
  {
    JsonObject object(out);
    object.text_if_set("a", "");
    object.time_if_set("b", WallTime{});
    object.text("c", "\"");
    object.number("d", 7);
    object.boolean("e", true);
    object.time("f", WallTime(milliseconds(0)));
    object.member("g");
    const JsonObject empty(out);
  }
  CHECK(out == R"({"c":"\"","d":7,"e":true,"f":"1970-01-01T00:00:00.000Z","g":{}})");
}
