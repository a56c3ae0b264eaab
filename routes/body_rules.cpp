#include "routes/body_rules.hpp"

#include "routes/media_type.hpp"

namespace raincheck::routes {
namespace {

constexpr const char* cut_short = "the body ends within its coding";

// Where rules apply that say nothing about it.
const std::vector<std::string> json_types = {"application/json", "application/*+json"};
const std::vector<std::string> text_types = {"text/*",
                                             "application/json",
                                             "application/*+json",
                                             "application/xml",
                                             "application/*+xml",
                                             "application/javascript",
                                             "application/ecmascript",
                                             "image/svg+xml"};

std::vector<std::string> needles_of(const std::vector<config::Replacement>& replacements) {
  std::vector<std::string> needles;
  for (const config::Replacement& replacement : replacements) needles.push_back(replacement.from);
  return needles;
}

bool applies(const config::BodyRules& rules,
             const std::vector<std::string>& otherwise,
             std::string_view type) {
  return matches_any_media_type(rules.content_types.empty() ? otherwise : rules.content_types,
                                type);
}

}  // namespace

BodyRules::BodyRules(const config::BodyRules& rules)
    : config_(rules), patch_(rules.json_patch), needles_(needles_of(rules.replace)) {
  if (!rules.merge_patch.empty()) merge_.emplace(rules.merge_patch);
}

std::vector<std::string> BodyRules::texts() const {
  std::vector<std::string> all = patch_.texts();
  if (merge_) all.insert(all.end(), merge_->texts().begin(), merge_->texts().end());
  for (const config::Replacement& replacement : config_.replace) all.push_back(replacement.to);
  return all;
}

BodyPlan BodyPlan::make(const BodyRules& rules, const BodyFacts& facts) {
  BodyPlan plan;
  const std::string_view type = media_type(facts.content_type);
  plan.has_json = rules.has_json_rules() && applies(rules.config_, json_types, type);
  plan.has_text = rules.needles_.size() > 0 && applies(rules.config_, text_types, type);
  if (!plan.has_json && !plan.has_text) return plan;
  if (const auto coding = parse_content_encoding(facts.content_encoding)) {
    plan.coding = *coding;
  } else {
    plan.why = "the coding of the body is not known: " + std::string(facts.content_encoding);
  }
  if (facts.is_partial) plan.why = "the body is a part of another one";
  if (!plan.why.empty()) {
    plan.way =
        rules.config_.on_failure == config::OnFailure::refuse ? Way::refused : Way::untouched;
  } else {
    plan.way = plan.has_json ? Way::whole : Way::streamed;
  }
  return plan;
}

BodyRewriter::BodyRewriter(const BodyRules& rules,
                           const BodyPlan& plan,
                           std::vector<std::string> values)
    : rules_(rules),
      plan_(plan),
      values_(std::move(values)),
      decoder_(ContentDecoder::make(plan.coding)),
      encoder_(ContentEncoder::make(plan.coding)) {
  if (!plan.has_text) return;
  const auto first = values_.end() - static_cast<std::ptrdiff_t>(rules.needles_.size());
  replacer_.emplace(rules.needles_, std::vector<std::string>(first, values_.end()));
}

BodyRewriter::Rewritten BodyRewriter::failed(std::string why) const {
  return {std::nullopt, std::move(why), rules_.config_.on_failure == config::OnFailure::refuse};
}

BodyRewriter::Rewritten BodyRewriter::too_long() const {
  return failed("the body is longer than max_size");
}

// Hands what is decoded to take(text), at most 64 KiB at once, as long as it returns true.
template <class Take>
std::string BodyRewriter::decode(std::string_view in, const Take& take) {
  has_begun_ = has_begun_ || !in.empty();
  if (!decoder_) {
    take(in);
    return "";
  }
  std::string piece;
  ContentDecoder::Step step;
  do {
    piece.clear();
    step = decoder_->next(in, piece);
    if (step.bad != nullptr) return "the body cannot be decoded: " + std::string(step.bad);
    if (!take(std::string_view(piece))) return "the decoded body is longer than max_size";
    in.remove_prefix(step.consumed);
  } while (step.has_more || !in.empty());
  return "";
}

void BodyRewriter::encode(std::string_view in, End end, std::string& out) {
  if (!encoder_) {
    out += in;
    return;
  }
  encoder_->write(in, out);
  if (end == End::flushed) encoder_->flush(out);
  if (end == End::finished) encoder_->finish(out);
}

// Returns why it cannot be changed, or nothing.
std::string BodyRewriter::change_json(std::string& text) const {
  const JsonLimits limits{static_cast<std::size_t>(rules_.max_size())};
  ParsedJson parsed = parse_json(text, limits);
  if (!parsed) return "the body is not JSON: " + parsed.why;
  const std::span<const std::string> values(values_);
  const std::size_t patch_values = rules_.patch_.texts().size();
  std::string why = rules_.patch_.apply(*parsed.value, values.first(patch_values), limits);
  if (!why.empty()) return why;
  if (rules_.merge_) {
    const std::size_t merge_values = rules_.merge_->texts().size();
    merge_patch(*parsed.value, rules_.merge_->render(values.subspan(patch_values, merge_values)));
  }
  text = to_text(*parsed.value);
  return "";
}

BodyRewriter::Rewritten BodyRewriter::rewrite(std::string_view body) {
  if (body.size() > rules_.max_size()) return too_long();
  std::string text;
  std::string why = decode(body, [&](std::string_view piece) {
    text += piece;
    return text.size() <= rules_.max_size();
  });
  if (why.empty() && !is_complete()) why = cut_short;
  if (why.empty() && plan_.has_json) why = change_json(text);
  if (!why.empty()) return failed(std::move(why));
  if (replacer_) {
    std::string replaced;
    replacer_->write(text, replaced);
    replacer_->finish(replaced);
    text = std::move(replaced);
  }
  std::string out;
  encode(text, End::finished, out);
  return {std::move(out), "", false};
}

// A body without a byte is complete, whatever its coding is said to be.
bool BodyRewriter::is_complete() const {
  return !decoder_ || !has_begun_ || decoder_->is_complete();
}

std::string BodyRewriter::write(std::string_view in, std::string& out) {
  std::string replaced;
  return decode(in, [&](std::string_view piece) {
    replaced.clear();
    replacer_->write(piece, replaced);
    encode(replaced, End::open, out);
    return true;
  });
}

void BodyRewriter::flush(std::string& out) {
  encode({}, End::flushed, out);
}

std::string BodyRewriter::finish(std::string& out) {
  if (!is_complete()) return cut_short;
  if (!has_begun_) return "";
  std::string rest;
  replacer_->finish(rest);
  encode(rest, End::finished, out);
  return "";
}

}  // namespace raincheck::routes
