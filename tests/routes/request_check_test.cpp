#include "routes/request_check.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace raincheck::routes;

namespace {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

raincheck::config::Validate rules() {
  raincheck::config::Validate validate;
  validate.content_types = {"application/json", "application/*+json"};
  validate.headers = {{"X-Customer", true, "", {}}, {"X-Tag", false, "[a-z]+", {}}};
  validate.query = {{"format", false, "pdf|csv", {}}, {"from date", true, "", {}}};
  validate.json_schema = "/schema.json";
  return validate;
}

RequestCheck compile(const raincheck::config::Validate& validate) {
  std::vector<RuleProblem> problems;
  const auto read = [](const std::string&) -> std::optional<std::string> {
    return R"({"required":["id"],"properties":{"id":{"type":"integer"}}})";
  };
  RequestCheck check(validate, "validate", read, problems);
  REQUIRE(problems.empty());
  return check;
}

std::string verdict(const RequestCheck& check, const CheckedRequest& request) {
  const RequestVerdict out = check.check(request);
  std::string text = std::to_string(out.status);
  for (const RequestProblem& problem : out.problems) {
    text += "; " + problem.name + " " + problem.message;
  }
  return text;
}

constexpr std::string_view json = "application/json";

}  // namespace

TEST_CASE("a request that has all that is asked for is fine") {
  const RequestCheck check = compile(rules());
  const Headers headers = {{"x-customer", "7"}, {"X-TAG", " abc "}};
  CHECK(verdict(check, {"from+date=x&format=pdf", headers, json, R"({"id":1})"}) == "0");
  CHECK(verdict(check, {"from%20date&other=%", headers, "application/x+json", R"({"id":1})"}) ==
        "0");
  CHECK(check.needs_body());
  CHECK(verdict(RequestCheck(), {"", {}, "", std::nullopt}) == "0");
  CHECK_FALSE(RequestCheck().needs_body());
}

TEST_CASE("all problems are told at once, and the status is that of the first kind") {
  const RequestCheck check = compile(rules());
  const Headers good = {{"X-Customer", "7"}};
  const std::string_view query = "from+date=x";
  CHECK(verdict(check, {"format=doc&format=csv&format=", {}, json, R"({"id":"x"})"}) ==
        "400; X-Customer is required; format must match the pattern pdf|csv; format must match "
        "the pattern pdf|csv; from date is required; /id must be of type integer");
  const Headers bad = {{"X-Customer", ""}, {"X-Tag", "a"}, {"X-Tag", "a b"}};
  CHECK(verdict(check, {query, bad, json, R"({"id":1})"}) ==
        "400; X-Tag must match the pattern [a-z]+");
  CHECK(verdict(check, {query, good, json, "{}"}) == "422; /id is required");
  CHECK(verdict(check, {query, good, json, "{"}) ==
        "400;  must be JSON: incomplete JSON at line 1, column 2");
  CHECK(verdict(check, {query, good, json, std::nullopt}) == "400;  a JSON body is required");
  CHECK(verdict(check, {query, good, json, ""}) == "400;  a JSON body is required");
  CHECK(verdict(check, {query, good, json, R"({"id":1,"id":"x"})"})
            .find("400;  must be JSON: the "
                  "member 'id' is there "
                  "twice") == 0);
  // What is not JSON by its type is not looked into.
  CHECK(verdict(check, {query, {}, "text/plain", "{}"}) ==
        "415; Content-Type must be application/json or application/*+json; X-Customer is required");
  CHECK(verdict(check, {query, good, "", "{}"}) ==
        "415; Content-Type must be application/json or application/*+json");
  const std::string large(RequestCheck::json_body_max + 1, ' ');
  CHECK(verdict(check, {query, good, json, large}) ==
        "413;  must not be longer than 8388608 bytes to be checked");
}

TEST_CASE("a head is checked before the body is there") {
  const RequestCheck check = compile(rules());
  const Headers good = {{"X-Customer", "7"}};
  CHECK(check.check_head({"from+date=x", good, json, ""}));
  CHECK(check.check_head({"from+date=x", good, "text/plain", std::nullopt}));
  CHECK(check.check_head({"from+date=x", good, "text/plain", ""}).status == 415);
  CHECK(check.check_head({"from+date=x", {}, json, ""}).status == 400);
  CHECK(check.check_head({"", good, json, ""}).status == 400);
}

TEST_CASE("problems become the errors of a problem document") {
  const RequestCheck check = compile(rules());
  std::string out;
  append_errors(out, check.check({"format=x", {}, json, R"({"id":"\""})"}).problems);
  CHECK(out == R"([{"detail":"is required","header":"X-Customer"},)"
               R"({"detail":"must match the pattern pdf|csv","parameter":"format"},)"
               R"({"detail":"is required","parameter":"from date"},)"
               R"({"detail":"must be of type integer","pointer":"/id"}])");
  out.clear();
  append_errors(out, {});
  CHECK(out == "[]");
}

TEST_CASE("no more problems are told than anybody reads") {
  const RequestCheck check = compile(rules());
  std::string query = "from+date";
  for (int i = 0; i < 300; ++i) query += "&format=x";
  const Headers headers = {{"X-Customer", "7"}};
  CHECK(check.check({query, headers, json, R"({"id":1})"}).problems.size() ==
        RequestCheck::problems_max);
}

TEST_CASE("a schema that cannot be used is a problem of its setting") {
  std::vector<RuleProblem> problems;
  raincheck::config::Validate validate;
  validate.json_schema = "/x.json";
  validate.json_schema_place = {"raincheck.yaml", 7, 5};
  const RequestCheck check(
      validate, "validate",
      [](const std::string&) -> std::optional<std::string> { return R"({"type":"int"})"; },
      problems);
  REQUIRE_FALSE(problems.empty());
  CHECK(problems[0].setting == "validate.json_schema");
  CHECK(problems[0].place.line == 7);
  CHECK(problems[0].message == "/x.json#/type: \"int\" is not a type");
}
