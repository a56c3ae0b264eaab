#include "routes/success_check.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace raincheck::routes;

namespace {

std::string judge(const raincheck::config::Success& rules, const JudgedAnswer& answer) {
  return SuccessCheck(rules).judge(answer);
}

constexpr std::string_view html = "text/html; charset=utf-8";
constexpr std::string_view json = "application/json";

}  // namespace

TEST_CASE("a success has one of the statuses and media types") {
  raincheck::config::Success rules;
  CHECK(judge(rules, {200, html, "", true}) == "");
  CHECK(judge(rules, {399, "", "", true}) == "");
  CHECK(judge(rules, {400, html, "", true}) == "the status 400 is not a success");
  CHECK_FALSE(SuccessCheck(rules).needs_body());
  rules.status = {{200, 200}, {404, 404}};
  CHECK(judge(rules, {404, html, "", true}) == "");
  CHECK(judge(rules, {302, html, "", true}) == "the status 302 is not a success");
  rules.content_types = {"application/*+json", "application/json"};
  CHECK(judge(rules, {200, "application/hal+json;v=1", "", true}) == "");
  CHECK(judge(rules, {200, html, "", true}) == "the media type text/html is not a success");
  CHECK(judge(rules, {200, "", "", true}) == "the response has no media type");
}

TEST_CASE("a success has what must be found in its body, and not what must not") {
  raincheck::config::Success rules;
  rules.body_matches = "(?i)<report";
  rules.body_excludes = "ORA-[0-9]+|Log ?in";
  CHECK(SuccessCheck(rules).needs_body());
  CHECK(judge(rules, {200, html, "<html><Report>", true}) == "");
  CHECK(judge(rules, {200, html, "<html>", true}) == "the body does not match body_matches");
  CHECK(judge(rules, {200, html, "<report> ORA-00942", true}) == "the body matches body_excludes");
  CHECK(judge(rules, {200, html, "\xff\xfe\x80<report>", true}) == "");
  CHECK(judge(rules, {200, html, "\xff\xfeLogin<report>", true}) ==
        "the body matches body_excludes");
  const std::string late = std::string(SuccessCheck::look_bytes, ' ') + "<report>";
  CHECK(judge(rules, {200, html, late, true}) == "the body does not match body_matches");
  CHECK(judge(rules, {200, html, std::string_view(late).substr(8), true}) == "");
}

TEST_CASE("a success has the JSON values that it must have") {
  raincheck::config::Success rules;
  rules.json = R"({"/status":"ok","/code":0,"/error":null})";
  CHECK(SuccessCheck(rules).needs_body());
  CHECK(judge(rules, {200, json, R"({"code":0.0,"status":"ok","error":null})", true}) == "");
  CHECK(judge(rules, {200, json, R"({"code":1,"status":"ok","error":null})", true}) ==
        "the value at '/code' is not 0");
  CHECK(judge(rules, {200, json, R"({"code":0,"status":"ko","error":null})", true}) ==
        "the value at '/status' is not \"ok\"");
  CHECK(judge(rules, {200, json, R"({"code":0,"status":"ok"})", true}) ==
        "the body has no value at '/error'");
  CHECK(judge(rules, {200, html, "<html>", true}) ==
        "the body is not JSON: syntax error at line 1, column 1");
}

TEST_CASE("JSON values are looked for in the beginning of a long body") {
  raincheck::config::Success rules;
  rules.json = R"({"/status":"ok"})";
  const std::string rows(2 * SuccessCheck::look_bytes, ' ');
  CHECK(judge(rules, {200, json, R"({"status":"ok","rows":[)" + rows, true}) == "");
  CHECK(judge(rules, {200, json, R"({"status":"ko","rows":[)" + rows, true}) ==
        "the value at '/status' is not \"ok\"");
  CHECK(judge(rules, {200, json, R"({"rows":[)" + rows + R"(],"status":"ok"})", true}) ==
        "the body has no value at '/status' in its first 65536 bytes");
  CHECK(judge(rules, {200, json, R"({"status":"ok","rows":[1,2)", false}) == "");
  CHECK(judge(rules, {200, json, R"({"status":"ok","rows":[1,2)", true}) ==
        "the body is not JSON: incomplete JSON at line 1, column 27");
}

TEST_CASE("what is asked of bodies does not apply to the answer to a HEAD") {
  raincheck::config::Success rules;
  rules.body_matches = "needed";
  rules.body_excludes = "^$";
  rules.json = R"({"/status":"ok"})";
  rules.content_types = {"application/json"};
  CHECK(judge(rules, {200, "application/json", "", true, false}) == "");
  CHECK(judge(rules, {200, "application/json", "", true, true}) != "");
  CHECK(judge(rules, {404, "application/json", "", true, false}) ==
        "the status 404 is not a success");
  CHECK(judge(rules, {200, "text/html", "", true, false}) ==
        "the media type text/html is not a success");
}
