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

// Where a value must not end a string, and where it must not begin an element.
const std::vector<std::string> script_types = {"application/json",
                                               "*+json",
                                               "text/json",
                                               "text/x-json",
                                               "application/x-json",
                                               "application/x-ndjson",
                                               "application/javascript",
                                               "application/x-javascript",
                                               "application/ecmascript",
                                               "text/javascript",
                                               "text/x-javascript",
                                               "text/ecmascript"};
const std::vector<std::string> markup_types = {"text/html", "text/xml", "application/xml", "*+xml"};

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

Form form_of(std::string_view media_type) {
  if (matches_any_media_type(script_types, media_type)) return Form::json;
  if (matches_media_type("application/x-www-form-urlencoded", media_type)) return Form::entry;
  return matches_any_media_type(markup_types, media_type) ? Form::markup : Form::text;
}

bool is_plain_text(std::string_view media_type) {
  static const std::vector<std::string> types = {"text/plain", "text/csv",
                                                 "text/tab-separated-values"};
  return matches_any_media_type(types, media_type);
}

BodyRules BodyRules::compile(const config::BodyRules& rules,
                             const std::string& setting,
                             const Scope& scope,
                             std::vector<RuleProblem>& problems) {
  BodyRules out;
  out.config_ = rules;
  out.patch_ = JsonPatch::compile(rules.json_patch, setting + ".json_patch", scope, problems);
  if (!rules.merge_patch.json.empty()) {
    out.merge_ =
        JsonTemplate::compile(rules.merge_patch, setting + ".merge_patch", scope, problems);
  }
  out.needles_ = Needles(needles_of(rules.replace));
  for (std::size_t i = 0; i < rules.replace.size(); ++i) {
    const config::TemplateText& text = rules.replace[i].to;
    std::string why;
    out.texts_.push_back(Template::compile(text, scope, why));
    if (why.empty()) continue;
    problems.push_back({text.place, setting + ".replace[" + std::to_string(i) + "].to", why});
  }
  return out;
}

void BodyRules::render_json(const Values& values, BodyValues& out, Unapplied& unapplied) const {
  out.patch = patch_.render(values, unapplied);
  if (!merge_) return;
  Json merge;
  if (const Rendering rendering = merge_->render(values, merge); !rendering) {
    unapplied.add("merge_patch", rendering);
  } else {
    out.merge = std::move(merge);
  }
}

void BodyRules::render_texts(const Values& values,
                             Form form,
                             BodyValues& out,
                             Unapplied& unapplied) const {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const std::string rule = "replace[" + std::to_string(i) + "]";
    std::string& text = out.replace.emplace_back();
    const Rendering rendering = texts_[i].render(values, form, text);
    const bool is_too_long = text.size() > config::replacement_text_max;
    if (is_too_long) unapplied.reasons.push_back(rule + ": the text to put in is too long");
    if (!rendering) unapplied.add(rule, rendering);
    if (!rendering || is_too_long) text = config_.replace[i].from;  // stays as it is
  }
}

BodyRules::Outcome BodyRules::render(const BodyPlan& plan,
                                     const Values& values,
                                     BodyValues& out,
                                     std::string& why) const {
  Unapplied unapplied;
  if (plan.has_json) render_json(values, out, unapplied);
  if (plan.has_text) render_texts(values, plan.form, out, unapplied);
  why.clear();
  for (const std::string& reason : unapplied.reasons) why += (why.empty() ? "" : "; ") + reason;
  if (unapplied.is_unreadable) return Outcome::unreadable;
  return !why.empty() && refuses() ? Outcome::refused : Outcome::done;
}

BodyPlan BodyPlan::make(const BodyRules& rules, const BodyFacts& facts) {
  BodyPlan plan;
  const std::string_view type = media_type(facts.content_type);
  plan.has_json = rules.has_json_rules() && applies(rules.config_, json_types, type);
  plan.has_text = rules.needles_.size() > 0 && applies(rules.config_, text_types, type);
  if (!plan.has_json && !plan.has_text) return plan;
  plan.form = form_of(type);
  if (const auto coding = parse_content_encoding(facts.content_encoding)) {
    plan.coding = *coding;
  } else {
    plan.why = "the coding of the body is not known: " + std::string(facts.content_encoding);
    plan.status = 415;
  }
  if (facts.is_partial) {
    plan.why = "the body is a part of another one";
    plan.status = 422;
  }
  if (!plan.why.empty()) {
    plan.way = rules.refuses() ? Way::refused : Way::untouched;
  } else {
    plan.way = plan.has_json ? Way::whole : Way::streamed;
  }
  return plan;
}

BodyRewriter::BodyRewriter(const BodyRules& rules, const BodyPlan& plan, BodyValues values)
    : rules_(rules),
      plan_(plan),
      values_(std::move(values)),
      decoder_(ContentDecoder::make(plan.coding)),
      encoder_(ContentEncoder::make(plan.coding)) {
  if (plan.has_text) replacer_.emplace(rules.needles_, values_.replace);
}

BodyRewriter::Rewritten BodyRewriter::failed(int status, std::string why) const {
  return {std::nullopt, std::move(why), rules_.refuses(), status};
}

BodyRewriter::Rewritten BodyRewriter::too_long() const {
  return failed(413, "the body is longer than max_size");
}

BodyRewriter::Rewritten BodyRewriter::undecodable(std::string why) const {
  return failed(415, std::move(why));
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
  std::string why = rules_.patch_.apply(*parsed.value, values_.patch, limits);
  if (!why.empty()) return why;
  if (values_.merge) merge_patch(*parsed.value, *values_.merge);
  text = to_text(*parsed.value);
  return "";
}

// Piece by piece, so that what grows is seen before it takes much memory.
std::string BodyRewriter::replace_texts(std::string& text) {
  constexpr std::size_t piece_bytes = 4096;
  std::string replaced;
  for (std::size_t i = 0; i < text.size(); i += piece_bytes) {
    replacer_->write(std::string_view(text).substr(i, piece_bytes), replaced);
    if (replaced.size() > rules_.max_size()) break;
  }
  replacer_->finish(replaced);
  if (replaced.size() > rules_.max_size()) return "the changed body is longer than max_size";
  text = std::move(replaced);
  return "";
}

BodyRewriter::Rewritten BodyRewriter::rewrite(std::string_view body) {
  if (body.size() > rules_.max_size()) return too_long();
  std::string text;
  std::string why = decode(body, [&](std::string_view piece) {
    text += piece;
    return text.size() <= rules_.max_size();
  });
  int status = text.size() > rules_.max_size() ? 413 : 415;
  if (why.empty() && !is_complete()) why = cut_short;
  if (why.empty() && plan_.has_json) {
    why = change_json(text);
    status = 422;
  }
  if (why.empty() && replacer_) {
    why = replace_texts(text);
    status = 413;
  }
  if (!why.empty()) return failed(status, std::move(why));
  std::string out;
  encode(text, End::finished, out);
  return {std::move(out), "", false, 0};
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
