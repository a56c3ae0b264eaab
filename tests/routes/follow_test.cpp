#include "routes/follow.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

using namespace raincheck::routes;
using namespace std::chrono_literals;
using Kind = FollowStep::Kind;
using std::chrono::milliseconds;

namespace {

struct Row {
  std::string_view name;
  FollowStage stage;
  int status;
  std::string_view lines;
  std::string_view body;
  Kind kind;
  std::string_view url = "";
  std::string_view result = "";
  std::string_view rejected = "";
};

constexpr std::string_view json = "Content-Type: application/json; charset=utf-8\r\n";
constexpr auto call = FollowStage::call;
constexpr auto monitor = FollowStage::monitor;
constexpr auto result = FollowStage::result;

void check(const FollowRules& rules, const Row& row, bool knows_result = false) {
  CAPTURE(row.name);
  Fields fields;
  const std::string lines(row.lines);
  fields.assign(lines);
  FollowedAnswer answer;
  answer.status = row.status;
  answer.fields = &fields;
  answer.body = row.body;
  answer.knows_result = knows_result;
  const FollowStep step = rules.read(row.stage, answer);
  CHECK(step.kind == row.kind);
  CHECK(step.url == row.url);
  CHECK(step.result == row.result);
  CHECK(step.rejected == row.rejected);
}

}  // namespace

TEST_CASE("an answer to the call is followed if it is 202 and says where to ask") {
  const Row rows[] = {
      {"Location", call, 202, "Location: /jobs/1\r\n", "", Kind::pending, "/jobs/1"},
      {"FHIR", call, 202, "Content-Location: /jobs/1\r\n", "", Kind::pending, "/jobs/1"},
      {"the monitor, and the result", call, 202,
       "Location: /reports/1\r\noperation-location: /operations/1\r\n", "", Kind::pending,
       "/operations/1", "/reports/1"},
      {"two monitors", call, 202, "Azure-AsyncOperation: /b\r\nOperation-Location: /a\r\n", "",
       Kind::pending, "/a"},
      {"an empty field", call, 202, "Operation-Location: \r\nLocation: /jobs/1\r\n", "",
       Kind::pending, "/jobs/1"},
      {"nowhere", call, 202, "Retry-After: 5\r\n", "", Kind::result},
      {"done", call, 200, "Location: /jobs/1\r\n", "", Kind::result},
      {"made", call, 201, "Operation-Location: /jobs/1\r\n", "", Kind::result},
      {"a redirect", call, 303, "Location: /jobs/1\r\n", "", Kind::result},
      {"a status", call, 200, json, R"({"status":"Running"})", Kind::result},
  };
  for (const Row& row : rows) check(FollowRules(), row);
}

TEST_CASE("what a monitor answers is the result, where the result is, or to ask again") {
  const Row rows[] = {
      {"pending", monitor, 202, "", "", Kind::pending},
      {"moved on", monitor, 202, "Location: /jobs/2\r\n", "", Kind::pending, "/jobs/2"},
      {"303", monitor, 303, "Location: /reports/1\r\n", "", Kind::moved, "/reports/1"},
      {"302", monitor, 302, "Location: /reports/1\r\n", "", Kind::moved, "/reports/1"},
      {"303 to nowhere", monitor, 303, "", "", Kind::result},
      {"not changed", monitor, 304, "Location: /reports/1\r\n", "", Kind::result},
      {"done", monitor, 200, "Content-Type: text/plain\r\n", "status", Kind::result},
      {"nothing to say", monitor, 204, "", "", Kind::result},
      {"gone", monitor, 404, json, R"({"status":"Running"})", Kind::result},
      {"running", monitor, 200, json, R"({"status":"Running"})", Kind::pending},
      {"in another case", monitor, 200, json, R"({"status":"notStarted"})", Kind::pending},
      {"a title of its own", monitor, 200, "Content-Type: application/hal+json\r\n",
       R"({"status":"queued"})", Kind::pending},
      {"no JSON", monitor, 200, "Content-Type: text/html\r\n", R"({"status":"queued"})",
       Kind::result},
      {"succeeded", monitor, 200, json, R"({"status":"Succeeded","result":1})", Kind::result},
      {"succeeded elsewhere", monitor, 200, json,
       R"({"status":"succeeded","resourceLocation":"/reports/1"})", Kind::moved, "/reports/1"},
      {"failed", monitor, 200, json, R"({"status":"Failed","resourceLocation":"/x"})", Kind::result,
       "", "", "the backend says of the call: Failed"},
      {"canceled", monitor, 200, json, R"({"status":"cancelled"})", Kind::result, "", "",
       "the backend says of the call: cancelled"},
      {"a word that is no word", monitor, 200, json, R"({"status":7})", Kind::result},
      {"no such value", monitor, 200, json, R"({"state":"Running"})", Kind::result},
      {"damaged", monitor, 200, json, R"({"status":"Running")", Kind::result},
  };
  for (const Row& row : rows) check(FollowRules(), row);
}

TEST_CASE("a result that was named with the 202 is asked for when the monitor says it is done") {
  const Row rows[] = {
      {"done", monitor, 200, json, R"({"status":"Succeeded"})", Kind::moved},
      {"another", monitor, 200, json, R"({"status":"Succeeded","resourceLocation":"/b"})",
       Kind::moved, "/b"},
      {"running", monitor, 200, json, R"({"status":"Running"})", Kind::pending},
      {"no status", monitor, 200, json, R"({"report":1})", Kind::result},
      {"failed", monitor, 200, json, R"({"status":"Failed"})", Kind::result, "", "",
       "the backend says of the call: Failed"},
  };
  for (const Row& row : rows) check(FollowRules(), row, true);
}

TEST_CASE("the result is what it is, whatever words are in it, but for a 202 and redirects") {
  const Row rows[] = {
      {"its own status", result, 200, json, R"({"status":"Running"})", Kind::result},
      {"a redirect", result, 302, "Location: /x\r\n", "", Kind::moved, "/x"},
      {"a redirect to nowhere", result, 302, "", "", Kind::result},
      {"an error", result, 404, "", "", Kind::result},
      {"not there yet", result, 202, "Location: /x\r\n", "", Kind::pending},
  };
  for (const Row& row : rows) check(FollowRules(), row);
}

TEST_CASE("a body that is cut short is read as far as it goes") {
  Fields fields;
  fields.assign(json);
  FollowedAnswer answer;
  answer.status = 200;
  answer.fields = &fields;
  answer.body = R"({"status":"Running","input":[1,2)";
  answer.is_whole = false;
  CHECK(FollowRules().read(monitor, answer).kind == Kind::pending);
}

TEST_CASE(
    "a document whose status is not within what is looked at is no result, if one has to be "
    "there") {
  Fields fields;
  fields.assign(json);
  FollowedAnswer answer;
  answer.status = 200;
  answer.fields = &fields;
  const std::string body = R"({"log":")" + std::string(70'000, 'x') + R"(","status":"Running"})";
  answer.body = body;
  struct Kinds {
    bool knows_result;
    bool tells_status;
  };
  for (const auto& [knows_result, tells_status] : {Kinds{true, false}, Kinds{false, true}}) {
    answer.knows_result = knows_result;
    answer.tells_status = tells_status;
    const FollowStep step = FollowRules().read(monitor, answer);
    CHECK(step.kind == Kind::result);
    CHECK(step.rejected == "no status in the first 64 KiB of the document");
  }
  answer.knows_result = answer.tells_status = false;
  CHECK(FollowRules().read(monitor, answer).rejected.empty());
}

TEST_CASE("the words, their place and the fields are the route's to say") {
  raincheck::config::Follow settings;
  settings.headers = {"X-Poll"};
  settings.status = "/done";
  settings.pending = {"false"};
  settings.failed = {};
  settings.result = "/links/self";
  const FollowRules rules(settings);
  const Row rows[] = {
      {"its field", call, 202, "Location: /b\r\nX-Poll: /a\r\n", "", Kind::pending, "/a", "/b"},
      {"no other", call, 202, "Operation-Location: /a\r\n", "", Kind::result},
      {"not done", monitor, 200, json, R"({"done":false})", Kind::pending},
      {"done", monitor, 200, json, R"({"done":true,"links":{"self":"/c"}})", Kind::moved, "/c"},
      {"not its place", monitor, 200, json, R"({"status":"Running"})", Kind::result},
  };
  for (const Row& row : rows) check(rules, row);
}

TEST_CASE("only a document that may have a status needs to be seen") {
  const FollowRules rules;
  CHECK(rules.needs_body(monitor, 200, "application/json"));
  CHECK(rules.needs_body(monitor, 200, "application/problem+json"));
  CHECK_FALSE(rules.needs_body(monitor, 200, "application/pdf"));
  CHECK_FALSE(rules.needs_body(monitor, 202, "application/json"));
  CHECK_FALSE(rules.needs_body(call, 200, "application/json"));
  CHECK_FALSE(rules.needs_body(result, 200, "application/json"));
}

TEST_CASE("the time between questions doubles up to its limit, and Retry-After stays within") {
  const FollowRules rules;
  const milliseconds grown[] = {5s, 10s, 20s, 40s, 60s, 60s};
  for (std::uint32_t i = 0; i < 6; ++i) CHECK(rules.pause(std::nullopt, i) == grown[i]);
  CHECK(rules.pause(std::nullopt, 4'000'000'000) == 60s);
  CHECK(rules.pause(7s, 3) == 7s);
  CHECK(rules.pause(0s, 3) == 5s);
  CHECK(rules.pause(1h, 0) == 60s);
}

TEST_CASE("a question carries what the call does, but for its body and conditions") {
  const std::string_view call_head =
      "POST /reports?x=1\r\nAuthorization: Bearer 1\r\nContent-Type: text/plain\r\n"
      "content-encoding: gzip\r\nIf-Match: 7\r\nRange: bytes=0-1\r\nAccept: */*\r\n";
  CHECK(question_of(call_head, "/jobs/1") ==
        "GET /jobs/1\r\nAuthorization: Bearer 1\r\nAccept: */*\r\n");
}
