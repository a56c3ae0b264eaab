#include "routes/body_rules.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routes/body_fields.hpp"
#include "routes/media_type.hpp"
#include "tests/routes/templates.hpp"

using namespace raincheck::routes;
using raincheck::config::OnFailure;
using raincheck::config::PatchOp;
using raincheck::routes::tests::json_of;
using raincheck::routes::tests::text_of;

using Way = BodyPlan::Way;

namespace {

raincheck::config::BodyRules json_rules() {
  raincheck::config::BodyRules rules;
  rules.json_patch.push_back(
      {PatchOp::replace, "/self", "", json_of(R"("${request.id}")"), false, {}});
  rules.merge_patch = json_of(R"({"internal":null,"by":"${route.name}"})");
  return rules;
}

raincheck::config::BodyRules text_rules() {
  raincheck::config::BodyRules rules;
  rules.replace = {{"http://old", text_of("${public_url}"), {}}, {"secret", text_of(""), {}}};
  return rules;
}

raincheck::config::BodyRules both_rules() {
  raincheck::config::BodyRules rules = json_rules();
  rules.replace = text_rules().replace;
  return rules;
}

BodyRules compile(const raincheck::config::BodyRules& rules) {
  std::vector<RuleProblem> problems;
  BodyRules compiled = BodyRules::compile(rules, "response_body", {}, problems);
  REQUIRE(problems.empty());
  return compiled;
}

Values request(std::string_view id, std::string_view route, std::string_view url = "https://new") {
  Values values;
  values.request_id = id;
  values.route_name = route;
  values.public_url = url;
  return values;
}

BodyValues render(const BodyRules& rules, const BodyPlan& plan, const Values& values) {
  BodyValues out;
  std::string why;
  REQUIRE(rules.render(plan, values, out, why) == BodyRules::Outcome::done);
  REQUIRE(why == "");
  return out;
}

Way way(const raincheck::config::BodyRules& rules, const BodyFacts& facts) {
  return BodyPlan::make(compile(rules), facts).way;
}

std::string encode(ContentCoding coding, std::string_view text) {
  std::string out;
  const auto encoder = ContentEncoder::make(coding);
  encoder->write(text, out);
  encoder->finish(out);
  return out;
}

std::string decode(ContentCoding coding, std::string_view text) {
  std::string out;
  const auto decoder = ContentDecoder::make(coding);
  for (ContentDecoder::Step step{0, true, nullptr}; step.has_more || !text.empty();) {
    step = decoder->next(text, out);
    REQUIRE(step.bad == nullptr);
    text.remove_prefix(step.consumed);
  }
  CHECK(decoder->is_complete());
  return out;
}

// A whole body after the rules, or "pass: " or "refuse: " and why.
std::string rewritten(const raincheck::config::BodyRules& config,
                      const BodyFacts& facts,
                      std::string_view body,
                      const Values& values) {
  const BodyRules rules = compile(config);
  const BodyPlan plan = BodyPlan::make(rules, facts);
  REQUIRE(plan.way == Way::whole);
  BodyRewriter::Rewritten out =
      BodyRewriter(rules, plan, render(rules, plan, values)).rewrite(body);
  if (out.body) return *out.body;
  return (out.is_refused ? "refuse: " : "pass: ") + out.why;
}

}  // namespace

TEST_CASE("rules apply to the media types that they are made for, or that the route names") {
  CHECK(way({}, {"application/json", "", false}) == Way::untouched);
  CHECK(way(json_rules(), {"application/json; charset=utf-8", "", false}) == Way::whole);
  CHECK(way(json_rules(), {"application/problem+JSON", "", false}) == Way::whole);
  CHECK(way(json_rules(), {"text/html", "", false}) == Way::untouched);
  CHECK(way(json_rules(), {"", "", false}) == Way::untouched);
  CHECK(way(text_rules(), {"text/html", "", false}) == Way::streamed);
  CHECK(way(text_rules(), {"application/soap+xml", "", false}) == Way::streamed);
  CHECK(way(text_rules(), {"image/png", "", false}) == Way::untouched);
  CHECK(way(both_rules(), {"text/html", "", false}) == Way::streamed);
  CHECK(way(both_rules(), {"application/json", "", false}) == Way::whole);
  raincheck::config::BodyRules named = json_rules();
  named.content_types = {"text/x-json"};
  CHECK(way(named, {"text/x-json", "", false}) == Way::whole);
  CHECK(way(named, {"application/json", "", false}) == Way::untouched);
}

TEST_CASE("a body that no rule can change passes or is refused, as the route says") {
  raincheck::config::BodyRules rules = text_rules();
  const BodyFacts unknown{"text/html", "zstd", false};
  const BodyFacts partial{"text/html", "", true};
  CHECK(way(rules, unknown) == Way::untouched);
  CHECK(way(rules, partial) == Way::untouched);
  CHECK(BodyPlan::make(compile(rules), unknown).why == "the coding of the body is not known: zstd");
  CHECK(BodyPlan::make(compile(rules), partial).why == "the body is a part of another one");
  CHECK(way(rules, {"image/png", "zstd", true}) == Way::untouched);
  CHECK(BodyPlan::make(compile(rules), {"image/png", "zstd", true}).why == "");
  rules.on_failure = OnFailure::refuse;
  CHECK(way(rules, unknown) == Way::refused);
  CHECK(way(rules, partial) == Way::refused);
  CHECK(way(rules, {"image/png", "zstd", true}) == Way::untouched);

  raincheck::config::BodyRules json = json_rules();
  json.max_size = 20;
  const BodyFacts facts{"application/json", "", false};
  CHECK(rewritten(json, facts, "<html>", request("u", "r")).find("pass: the body is not JSON: ") ==
        0);
  CHECK(rewritten(json, facts, "{}", request("u", "r")) ==
        "pass: json_patch[0]: replace '/self': there is no such value");
  CHECK(rewritten(json, facts, std::string(21, ' '), request("u", "r")) ==
        "pass: the body is longer than max_size");
  json.on_failure = OnFailure::refuse;
  CHECK(
      rewritten(json, facts, "<html>", request("u", "r")).find("refuse: the body is not JSON: ") ==
      0);
}

TEST_CASE("who sent what cannot be changed hears a status") {
  const auto status = [](const raincheck::config::BodyRules& config, const BodyFacts& facts,
                         std::string_view body) {
    const BodyRules rules = compile(config);
    const BodyPlan plan = BodyPlan::make(rules, facts);
    if (!plan.changes()) return plan.status;
    const Values values = request("u", "r");
    return BodyRewriter(rules, plan, render(rules, plan, values)).rewrite(body).status;
  };
  raincheck::config::BodyRules rules = both_rules();
  rules.max_size = 30;
  const std::string good = R"({"self":"x"})";
  CHECK(status(rules, {"application/json", "", false}, good) == 0);
  CHECK(status(rules, {"application/json", "", false}, good + std::string(30, ' ')) == 413);
  CHECK(status(rules, {"application/json", "gzip", false}, good) == 415);
  CHECK(status(rules, {"application/json", "gzip", false},
               encode(ContentCoding::gzip, good + std::string(30, ' '))) == 413);
  CHECK(status(rules, {"application/json", "zstd", false}, good) == 415);
  CHECK(status(rules, {"application/json", "", true}, good) == 422);
  CHECK(status(rules, {"application/json", "", false}, "{}") == 422);
  CHECK(status(rules, {"application/json", "", false}, "{") == 422);
  CHECK(status(rules, {"image/png", "zstd", true}, good) == 0);
}

TEST_CASE("JSON is patched, merged, and then its text replaced") {
  CHECK(rewritten(both_rules(), {"application/json", "", false},
                  R"({ "self": "x", "internal": 1, "n": 1.50, "u": "http://old/secret" })",
                  request("http://old/me", "reports")) ==
        R"({"self":"https://new/me","n":1.50,"u":"https://new/","by":"reports"})");
}

TEST_CASE("a rule whose value is missing is passed over, or its body refused") {
  raincheck::config::BodyRules config = both_rules();
  config.json_patch.push_back({PatchOp::add, "/d", "", json_of(R"("${job.id:-x}")"), false, {}});
  const BodyPlan plan = BodyPlan::make(compile(config), {"application/json", "", false});
  const BodyRules rules = compile(config);
  BodyValues values;
  std::string why;
  CHECK(rules.render(plan, {}, values, why) == BodyRules::Outcome::done);
  CHECK(why ==
        "json_patch[0]: the request has no '${request.id}'; "
        "merge_patch: the request has no '${route.name}'; "
        "replace[0]: the request has no '${public_url}'");
  CHECK(BodyRewriter(rules, plan, values).rewrite(R"({"self":"http://old","internal":1})").body ==
        R"({"self":"http://old","internal":1,"d":"x"})");

  config.on_failure = OnFailure::refuse;
  BodyValues none;
  CHECK(compile(config).render(plan, {}, none, why) == BodyRules::Outcome::refused);
  BodyValues all;
  CHECK(compile(config).render(plan, request("u", "r"), all, why) == BodyRules::Outcome::done);
  // Only what the body needs.
  const BodyPlan html = BodyPlan::make(compile(config), {"text/html", "", false});
  BodyValues texts;
  Values public_url;
  public_url.public_url = "https://new";
  CHECK(compile(config).render(html, public_url, texts, why) == BodyRules::Outcome::done);
}

TEST_CASE("a secret that cannot be read stops the call, and is put in if it can be") {
  raincheck::config::BodyRules config;
  config.replace = {{"TOKEN", {{{true, "credential:a"}}, "${credential:a}", {}}, {}}};
  std::vector<RuleProblem> problems;
  const BodyRules rules = BodyRules::compile(config, "request_body", {nullptr, true}, problems);
  REQUIRE(problems.empty());
  const BodyPlan plan = BodyPlan::make(rules, {"text/plain", "", false});
  std::optional<std::string> content;
  const std::function<std::optional<std::string>(std::string_view)> secret = [&](std::string_view) {
    return content;
  };
  Values values;
  values.secret = &secret;
  BodyValues out;
  std::string why;
  CHECK(rules.render(plan, values, out, why) == BodyRules::Outcome::unreadable);
  CHECK(why == "replace[0]: '${credential:a}' cannot be read");
  content = "s3cret";
  CHECK(render(rules, plan, values).replace == std::vector<std::string>{"s3cret"});
}

TEST_CASE("what a request says cannot leave the place that a rule gives it") {
  raincheck::config::BodyRules config;
  config.content_types = {"*/*"};
  config.replace = {{"OLD", text_of("<b>${request.id}</b>\""), {}}};
  const BodyRules rules = compile(config);
  const auto text = [&](std::string_view type) {
    const BodyPlan plan = BodyPlan::make(rules, {type, "", false});
    return render(rules, plan, request("\"<'&>\n", "")).replace.at(0);
  };
  CHECK(text("application/json") == "<b>\\\"<'&>\\n</b>\"");
  CHECK(text("application/javascript") == text("application/problem+json"));
  CHECK(text("text/html; charset=utf-8") == "<b>&quot;&lt;&#39;&amp;&gt;\n</b>\"");
  CHECK(text("application/xhtml+xml") == text("text/html"));
  CHECK(text("application/x-www-form-urlencoded") == "<b>%22%3C%27%26%3E%0A</b>\"");
  CHECK(text("text/plain") == "<b>\"<'&>\n</b>\"");
}

TEST_CASE("what is put in has a limit, and so has a body that grows by it") {
  raincheck::config::BodyRules config;
  config.content_types = {"a/b"};
  config.replace = {{"a", text_of("${request.id}"), {}}};
  const BodyRules rules = compile(config);
  const BodyPlan plan = BodyPlan::make(rules, {"a/b", "", false});
  const std::string longest(raincheck::config::replacement_text_max, 'b');
  CHECK(render(rules, plan, request(longest, "")).replace.at(0) == longest);
  BodyValues values;
  std::string why;
  CHECK(rules.render(plan, request(longest + "b", ""), values, why) == BodyRules::Outcome::done);
  CHECK(why == "replace[0]: the text to put in is too long");
  CHECK(values.replace.at(0) == "a");

  config.merge_patch = json_of(R"({"x":1})");
  config.max_size = 20'000;
  const BodyFacts facts{"a/b", "", false};
  const Values four = request("bbbb", "");
  const std::string body = R"({"y":")" + std::string(4'980, 'a') + "\"}";
  CHECK(rewritten(config, facts, body, four).size() == 4 * 4'980 + 14);
  const std::string more = R"({"y":")" + std::string(5'000, 'a') + "\"}";
  CHECK(rewritten(config, facts, more, four) == "pass: the changed body is longer than max_size");
}

TEST_CASE("every mistake in the texts of a body is told, with its place") {
  raincheck::config::BodyRules config = both_rules();
  config.json_patch.push_back(
      {PatchOp::add, "/d", "", json_of(R"(["${path.customer}","${heder.X-A}"])"), false, {}});
  config.merge_patch = json_of(R"({"a":"${cookie.}"})");
  config.replace[1].to = text_of("${credential:a}");
  config.replace[1].to.place = {"raincheck.yaml", 9, 3};
  std::vector<RuleProblem> problems;
  BodyRules::compile(config, "response_body", {}, problems);
  std::vector<std::string> told;
  for (const RuleProblem& problem : problems)
    told.push_back(problem.setting + ": " + problem.message);
  CHECK(told == std::vector<std::string>{
                    "response_body.json_patch[1].value: '${path.customer}' cannot be used here: "
                    "it belongs to a route",
                    "response_body.json_patch[1].value: '${heder.X-A}' is not known; did you mean "
                    "'${header.X-A}'?",
                    "response_body.merge_patch: '${cookie.}' names nothing",
                    "response_body.replace[1].to: '${credential:a}' is a secret and cannot be used "
                    "here"});
  CHECK(problems.back().place.line == 9);
}

TEST_CASE("coded bodies are decoded, changed and encoded again") {
  const std::string body = R"({"self":"x","internal":1})";
  const std::string expected = R"({"self":"u","by":"r"})";
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br}) {
    CAPTURE(name(coding));
    const BodyFacts facts{"application/json", name(coding), false};
    CHECK(decode(coding, rewritten(json_rules(), facts, encode(coding, body), request("u", "r"))) ==
          expected);
    CHECK(rewritten(json_rules(), facts, body, request("u", "r"))
              .find("pass: the body cannot be decoded: ") == 0);
    const std::string coded = encode(coding, body);
    CHECK(rewritten(json_rules(), facts, coded.substr(0, coded.size() - 1), request("u", "r")) ==
          "pass: the body ends within its coding");
    raincheck::config::BodyRules small = json_rules();
    small.max_size = 100;
    CHECK(rewritten(small, facts, encode(coding, body + std::string(200, ' ')),
                    request("u", "r")) == "pass: the decoded body is longer than max_size");
  }
  CHECK(way(json_rules(), {"application/json", "gzip, br", false}) == Way::untouched);
}

TEST_CASE("a streamed body is replaced as it passes, coded or not") {
  const BodyRules rules = compile(text_rules());
  std::string text;
  std::string expected;
  for (int i = 0; i < 10'000; ++i) {
    text += "<a href=http://old/" + std::to_string(i) + ">secret</a>";
    expected += "<a href=https://new/" + std::to_string(i) + "></a>";
  }
  for (const std::size_t step : {std::size_t{3}, std::size_t{1000}, text.size()}) {
    for (const char* encoding : {"", "gzip", "br"}) {
      const std::string_view word = encoding;
      const ContentCoding coding = word == "br" ? ContentCoding::br : ContentCoding::gzip;
      const BodyPlan plan = BodyPlan::make(rules, {"text/html", encoding, false});
      REQUIRE(plan.way == Way::streamed);
      BodyRewriter rewriter(rules, plan, render(rules, plan, request("", "")));
      const std::string sent = word.empty() ? text : encode(coding, text);
      std::string out;
      for (std::size_t i = 0; i < sent.size(); i += step) {
        REQUIRE(rewriter.write(std::string_view(sent).substr(i, step), out) == "");
      }
      REQUIRE(rewriter.finish(out) == "");
      CHECK((word.empty() ? out : decode(coding, out)) == expected);
    }
  }
  const BodyPlan plan = BodyPlan::make(rules, {"text/html", "gzip", false});
  BodyRewriter empty(rules, plan, render(rules, plan, request("", "")));
  std::string nothing;
  CHECK(empty.finish(nothing) == "");
  CHECK(nothing == "");
  BodyRewriter broken(rules, plan, render(rules, plan, request("", "")));
  std::string out;
  CHECK(broken.write("no gzip", out) ==
        "the body cannot be decoded: it is not what its coding says");
  BodyRewriter cut(rules, plan, render(rules, plan, request("", "")));
  CHECK(cut.write(encode(ContentCoding::gzip, "text").substr(0, 12), out) == "");
  CHECK(cut.finish(out) == "the body ends within its coding");
}

TEST_CASE("a body with two codings of its own is in none that we know") {
  Fields fields;
  CHECK(parse_content_encoding(content_encoding_of(fields)) == ContentCoding::identity);
  fields.push_back({"content-encoding", "gzip"});
  CHECK(parse_content_encoding(content_encoding_of(fields)) == ContentCoding::gzip);
  fields.push_back({"Content-Encoding", "identity"});
  CHECK_FALSE(parse_content_encoding(content_encoding_of(fields)).has_value());
}

TEST_CASE("what the rules leave behind when they are done: a message that is true") {
  const struct {
    std::string_view name;
    FieldFate expected;
  } cases[] = {
      {"Content-Length", FieldFate::removed}, {"content-md5", FieldFate::removed},
      {"Digest", FieldFate::removed},         {"Content-Digest", FieldFate::removed},
      {"Repr-Digest", FieldFate::removed},    {"Accept-Ranges", FieldFate::removed},
      {"ETag", FieldFate::weakened},          {"Last-Modified", FieldFate::kept},
      {"Content-Type", FieldFate::kept},      {"Vary", FieldFate::kept},
      {"Content-Language", FieldFate::kept},  {"Content-Location", FieldFate::kept},
      {"X-Content-Length", FieldFate::kept},
  };
  for (const auto& row : cases) {
    const auto& [name, expected] = row;
    CAPTURE(row.name);
    CHECK(fate_of_field(name, true) == expected);
    CHECK(fate_of_field(name, false) == expected);
  }
  CHECK(fate_of_field("Content-Encoding", true) == FieldFate::kept);
  CHECK(fate_of_field("content-encoding", false) == FieldFate::removed);
  CHECK(weak_etag("\"abc\"") == "W/\"abc\"");
  CHECK(weak_etag("W/\"abc\"") == "W/\"abc\"");
  CHECK(weak_etag("\"\"") == "W/\"\"");
  for (const std::string_view bad : {"", "abc", "\"", "\"a\"b\"", "w/\"a\"", "W/abc"}) {
    CAPTURE(bad);
    CHECK_FALSE(weak_etag(bad));
  }
  CHECK(asks_for_ranges("RANGE"));
  CHECK(asks_for_ranges("If-Range"));
  CHECK_FALSE(asks_for_ranges("If-Match"));
}

TEST_CASE("backends are asked for codings that can be undone") {
  CHECK(known_encodings("gzip, deflate, br, zstd") == "gzip, deflate, br");
  CHECK(known_encodings("br;q=1.0, gzip ; q=0.5, *;q=0") == "br;q=1.0, gzip ; q=0.5");
  CHECK(known_encodings("identity;q=0, x-gzip") == "identity;q=0, x-gzip");
  CHECK(known_encodings("zstd") == "identity");
  CHECK(known_encodings("*") == "identity");
  CHECK(known_encodings("") == "identity");
}

TEST_CASE("patterns of media types") {
  const struct {
    std::string_view pattern;
    std::string_view type;
    bool expected;
  } cases[] = {
      {"text/html", "Text/HTML", true},
      {"text/html", "text/htm", false},
      {"text/*", "text/x", true},
      {"text/*", "text/", false},
      {"text/*", "textile/x", false},
      {"application/*+json", "application/problem+json", true},
      {"application/*+json", "application/+json", false},
      {"application/*+json", "application/json", false},
      {"*/*", "a/b", true},
      {"*/*", "", false},
  };
  for (const auto& row : cases) {
    const auto& [pattern, type, expected] = row;
    CAPTURE(row.pattern);
    CAPTURE(row.type);
    CHECK(matches_media_type(pattern, type) == expected);
  }
  CHECK(media_type(" text/html ;charset=x") == "text/html");
}
