#include "routes/success_check.hpp"

#include <algorithm>

#include "routes/media_type.hpp"
#include "routes/pattern.hpp"

namespace raincheck::routes {

SuccessCheck::SuccessCheck(const config::Success& rules)
    : status_(rules.status), content_types_(rules.content_types) {
  if (!rules.body_matches.empty()) matches_ = compile_pattern(rules.body_matches);
  if (!rules.body_excludes.empty()) excludes_ = compile_pattern(rules.body_excludes);
  if (rules.json.empty()) return;
  ParsedJson parsed = parse_json(rules.json);
  if (!parsed) return;  // the reader of the configuration wrote it
  for (Json& member : parsed.value->items) {
    if (auto pointer = JsonPointer::parse(member.name)) {
      json_.push_back({std::move(*pointer), member.name, std::move(member)});
    }
  }
}

bool SuccessCheck::needs_body() const {
  return matches_ || excludes_ || !json_.empty();
}

std::string SuccessCheck::judge(const JudgedAnswer& answer) const {
  const bool is_status =
      std::any_of(status_.begin(), status_.end(), [&](const config::StatusRange& range) {
        return answer.status >= range.first && answer.status <= range.last;
      });
  if (!is_status) return "the status " + std::to_string(answer.status) + " is not a success";
  const std::string_view type = media_type(answer.content_type);
  if (!content_types_.empty() && !matches_any_media_type(content_types_, type)) {
    return type.empty() ? "the response has no media type"
                        : "the media type " + std::string(type) + " is not a success";
  }
  if (!answer.has_body) return "";
  const std::string_view body = answer.body.substr(0, look_bytes);
  if (matches_ && !RE2::PartialMatch({body.data(), body.size()}, *matches_)) {
    return "the body does not match body_matches";
  }
  if (excludes_ && RE2::PartialMatch({body.data(), body.size()}, *excludes_)) {
    return "the body matches body_excludes";
  }
  return json_.empty() ? "" : judge_json(answer);
}

std::string SuccessCheck::judge_json(const JudgedAnswer& answer) const {
  const JsonLimits limits{look_bytes, JsonLimits().depth};
  const bool is_whole = answer.is_whole && answer.body.size() <= look_bytes;
  const std::string_view body = answer.body.substr(0, look_bytes);
  const ParsedJson parsed =
      is_whole ? parse_json(body, limits) : parse_json_beginning(body, limits);
  if (!parsed) return "the body is not JSON: " + parsed.why;
  for (const Expected& expected : json_) {
    const Json* found = expected.pointer.find(*parsed.value);
    if (found == nullptr) {
      return "the body has no value at '" + expected.text + "'" +
             (is_whole ? "" : " in its first " + std::to_string(look_bytes) + " bytes");
    }
    if (!is_equal(*found, expected.value)) {
      return "the value at '" + expected.text + "' is not " + to_text(expected.value);
    }
  }
  return "";
}

}  // namespace raincheck::routes
