#include "routes/body_rules.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "routes/body_fields.hpp"
#include "routes/media_type.hpp"

using namespace raincheck::routes;
using raincheck::config::OnFailure;
using raincheck::config::PatchOp;

using Way = BodyPlan::Way;

namespace {

raincheck::config::BodyRules json_rules() {
  raincheck::config::BodyRules rules;
  rules.json_patch.push_back({PatchOp::replace, "/self", "", R"("${request.url}")", false, {}});
  rules.merge_patch = R"({"internal":null,"by":"${route.name}"})";
  return rules;
}

raincheck::config::BodyRules text_rules() {
  raincheck::config::BodyRules rules;
  rules.replace = {{"http://old", "${public_url}", {}}, {"secret", "", {}}};
  return rules;
}

raincheck::config::BodyRules both_rules() {
  raincheck::config::BodyRules rules = json_rules();
  rules.replace = text_rules().replace;
  return rules;
}

Way way(const raincheck::config::BodyRules& rules, const BodyFacts& facts) {
  return BodyPlan::make(BodyRules(rules), facts).way;
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
                      const std::vector<std::string>& values) {
  const BodyRules rules(config);
  const BodyPlan plan = BodyPlan::make(rules, facts);
  REQUIRE(plan.way == Way::whole);
  BodyRewriter::Rewritten out = BodyRewriter(rules, plan, values).rewrite(body);
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
  CHECK(BodyPlan::make(BodyRules(rules), unknown).why ==
        "the coding of the body is not known: zstd");
  CHECK(BodyPlan::make(BodyRules(rules), partial).why == "the body is a part of another one");
  CHECK(way(rules, {"image/png", "zstd", true}) == Way::untouched);
  CHECK(BodyPlan::make(BodyRules(rules), {"image/png", "zstd", true}).why == "");
  rules.on_failure = OnFailure::refuse;
  CHECK(way(rules, unknown) == Way::refused);
  CHECK(way(rules, partial) == Way::refused);
  CHECK(way(rules, {"image/png", "zstd", true}) == Way::untouched);

  raincheck::config::BodyRules json = json_rules();
  json.max_size = 20;
  const BodyFacts facts{"application/json", "", false};
  CHECK(rewritten(json, facts, "<html>", {"u", "r"}).find("pass: the body is not JSON: ") == 0);
  CHECK(rewritten(json, facts, "{}", {"u", "r"}) ==
        "pass: json_patch[0]: replace '/self': there is no such value");
  CHECK(rewritten(json, facts, std::string(21, ' '), {"u", "r"}) ==
        "pass: the body is longer than max_size");
  json.on_failure = OnFailure::refuse;
  CHECK(rewritten(json, facts, "<html>", {"u", "r"}).find("refuse: the body is not JSON: ") == 0);
}

TEST_CASE("JSON is patched, merged, and then its text replaced") {
  const BodyRules rules(both_rules());
  CHECK(rules.texts() ==
        std::vector<std::string>{"${request.url}", "${route.name}", "${public_url}", ""});
  CHECK(rewritten(both_rules(), {"application/json", "", false},
                  R"({ "self": "x", "internal": 1, "n": 1.50, "u": "http://old/secret" })",
                  {"http://old/me", "reports", "https://new", ""}) ==
        R"({"self":"https://new/me","n":1.50,"u":"https://new/","by":"reports"})");
}

TEST_CASE("coded bodies are decoded, changed and encoded again") {
  const std::string body = R"({"self":"x","internal":1})";
  const std::string expected = R"({"self":"u","by":"r"})";
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br}) {
    CAPTURE(name(coding));
    const BodyFacts facts{"application/json", name(coding), false};
    CHECK(decode(coding, rewritten(json_rules(), facts, encode(coding, body), {"u", "r"})) ==
          expected);
    CHECK(rewritten(json_rules(), facts, body, {"u", "r"})
              .find("pass: the body cannot be decoded: ") == 0);
    const std::string coded = encode(coding, body);
    CHECK(rewritten(json_rules(), facts, coded.substr(0, coded.size() - 1), {"u", "r"}) ==
          "pass: the body ends within its coding");
    raincheck::config::BodyRules small = json_rules();
    small.max_size = 100;
    CHECK(rewritten(small, facts, encode(coding, body + std::string(200, ' ')), {"u", "r"}) ==
          "pass: the decoded body is longer than max_size");
  }
  CHECK(way(json_rules(), {"application/json", "gzip, br", false}) == Way::untouched);
}

TEST_CASE("a streamed body is replaced as it passes, coded or not") {
  const BodyRules rules(text_rules());
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
      BodyRewriter rewriter(rules, plan, {"https://new", ""});
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
  BodyRewriter empty(rules, plan, {"", ""});
  std::string nothing;
  CHECK(empty.finish(nothing) == "");
  CHECK(nothing == "");
  BodyRewriter broken(rules, plan, {"", ""});
  std::string out;
  CHECK(broken.write("no gzip", out) ==
        "the body cannot be decoded: it is not what its coding says");
  BodyRewriter cut(rules, plan, {"", ""});
  CHECK(cut.write(encode(ContentCoding::gzip, "text").substr(0, 12), out) == "");
  CHECK(cut.finish(out) == "the body ends within its coding");
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
