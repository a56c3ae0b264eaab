// Bodies of strangers under the rules of a route, text and JSON, coded or not: whole or in pieces
// the same comes out, what was JSON stays JSON, and what comes out is in the coding that it came
// in.
//
// The first byte chooses coding and pieces, the second the media type; the rest is the body.
#include "routes/body_rules.hpp"

#include "config/interpolate.hpp"
#include "routes/json.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace raincheck::routes;
using namespace raincheck;
using fuzz::require;

config::TemplateText text_of(std::string_view text) {
  return config::interpolate_template(text, config::Environment::empty()).text;
}

config::BodyRules settings(bool has_json) {
  config::BodyRules rules;
  rules.max_size = 4096;
  rules.on_failure = config::OnFailure::refuse;
  rules.replace = {{"ab", text_of("<${request.id}>"), {}}, {"a", text_of(""), {}}};
  if (!has_json) return rules;
  rules.replace.clear();  // that may take a letter out of 'false'
  rules.merge_patch = {R"({"by":"${request.id}"})", {text_of("${request.id}")}};
  rules.json_patch.push_back({config::PatchOp::remove, "/x", "", {}, true, {}});
  return rules;
}

std::string in_pieces(BodyRewriter rewriter, std::string_view body, std::size_t step, bool& good) {
  std::string out;
  for (std::size_t at = 0; at < body.size() && good; at += step) {
    const auto piece = fuzz::copy_of(body.substr(at), std::min(step, body.size() - at));
    good = rewriter.write({piece.data(), piece.size()}, out).empty();
  }
  good = good && rewriter.finish(out).empty();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view body = fuzz::rest_of(data, size).substr(1);
  constexpr std::string_view codings[] = {"", "gzip", "deflate", "br"};
  constexpr std::string_view types[] = {"application/json", "text/html", "text/plain"};
  std::vector<RuleProblem> problems;
  const bool has_json = data[1] / 3 % 2 == 1;
  const BodyRules rules = BodyRules::compile(settings(has_json), "request_body", {}, problems);
  const BodyPlan plan = BodyPlan::make(rules, {types[data[1] % 3], codings[data[0] % 4], false});
  if (!plan.changes()) return 0;
  Values values;
  values.request_id = "\"<a>";
  BodyValues rendered;
  std::string why;
  require(rules.render(plan, values, rendered, why) == BodyRules::Outcome::done, "it is all there");
  const auto made = BodyRewriter(rules, plan, rendered).rewrite(body);
  require(made.body.has_value() == made.why.empty(), "a body, or why there is none");
  require(made.body || (made.is_refused && made.status >= 400), "refused with a status");
  if (plan.way == BodyPlan::Way::whole) {
    const bool is_plain = plan.coding == ContentCoding::identity;
    require(!made.body || !is_plain || parse_json(*made.body, {std::size_t{1} << 20, 256}),
            "JSON stays JSON");
    return 0;
  }
  bool good = true;
  const std::string pieces =
      in_pieces(BodyRewriter(rules, plan, rendered), body, data[0] / 4 + std::size_t{1}, good);
  require(!made.body || good, "what can be changed whole can be in pieces");
  if (!made.body) return 0;
  const std::size_t limit = std::size_t{1} << 20;
  require(decode(plan.coding, pieces, limit).bytes == decode(plan.coding, *made.body, limit).bytes,
          "and is the same");
  return 0;
}
