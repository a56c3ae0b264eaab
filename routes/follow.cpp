#include "routes/follow.hpp"

#include <algorithm>

#include "routes/media_type.hpp"
#include "routes/success_check.hpp"

namespace raincheck::routes {

using std::chrono::milliseconds;
using Kind = FollowStep::Kind;

namespace {

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool lists(const std::vector<std::string>& words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [word](const std::string& each) { return is_same_name(each, word); });
}

bool is_json(std::string_view content_type) {
  static const std::vector<std::string> types{"application/json", "application/*+json"};
  return matches_any_media_type(types, media_type(content_type));
}

// Beside words, true and false serve too.
std::string word_at(const JsonPointer& pointer, const Json& document) {
  const Json* const found = pointer.find(document);
  if (!found) return "";
  if (found->kind == Json::Kind::string) return found->text;
  return found->kind == Json::Kind::boolean ? to_text(*found) : "";
}

}  // namespace

std::string question_of(std::string_view call, std::string_view target) {
  Fields fields;
  fields.assign(call.substr(call.find("\r\n") + 2));
  fields.erase_if([](const Field& field) {
    return is_same_name(field.name.substr(0, 8), "Content-") ||
           is_same_name(field.name.substr(0, 3), "If-") || is_same_name(field.name, "Range");
  });
  std::string head = "GET ";
  head.append(target).append("\r\n");
  fields.append_to(head);
  return head;
}

FollowRules::FollowRules(const config::Follow& settings)
    : settings_(settings),
      status_(JsonPointer::parse(settings.status).value_or(JsonPointer())),
      result_(JsonPointer::parse(settings.result).value_or(JsonPointer())) {}

bool FollowRules::needs_body(FollowStage stage, int status, std::string_view content_type) const {
  return stage == FollowStage::monitor && status == 200 && is_json(content_type);
}

FollowStep FollowRules::read(FollowStage stage, const FollowedAnswer& answer) const {
  if (answer.status == 202) {
    FollowStep step = read_pending(*answer.fields);
    // A 202 that says nothing of where to ask is all that the backend will ever say.
    if (stage == FollowStage::call && step.url.empty()) step.kind = Kind::result;
    // What is waited for here is the result itself.
    if (stage == FollowStage::result) step.url.clear();
    return step;
  }
  if (stage == FollowStage::call) return {};
  FollowStep step;
  if (is_redirect(answer.status)) {
    step.url = answer.fields->find("Location").value_or("");
    if (!step.url.empty()) step.kind = Kind::moved;
    return step;
  }
  const std::string_view type = answer.fields->find("Content-Type").value_or("");
  return needs_body(stage, answer.status, type) ? read_document(answer) : step;
}

FollowStep FollowRules::read_pending(const Fields& fields) const {
  FollowStep step;
  step.kind = Kind::pending;
  for (const std::string& name : settings_.headers) {
    const auto url = fields.find(name);
    if (!url || url->empty()) continue;
    step.url = *url;
    // Beside a field of its own for the monitor, Location is where the result will be.
    if (!is_same_name(name, "Location")) step.result = fields.find("Location").value_or("");
    break;
  }
  return step;
}

FollowStep FollowRules::read_document(const FollowedAnswer& answer) const {
  FollowStep step;
  const std::string_view body = answer.body.substr(0, SuccessCheck::look_bytes);
  const JsonLimits limits{SuccessCheck::look_bytes, JsonLimits().depth};
  const bool is_whole = answer.is_whole && body.size() == answer.body.size();
  const ParsedJson parsed =
      is_whole ? parse_json(body, limits) : parse_json_beginning(body, limits);
  if (!parsed) return step;
  const std::string word = word_at(status_, *parsed.value);
  if (word.empty()) {
    // What may say further on that it is no result is none.
    if (!is_whole && (answer.knows_result || answer.tells_status)) {
      step.rejected = "no status in the first 64 KiB of the document";
    }
    return step;
  }
  if (lists(settings_.pending, word)) {
    step.kind = Kind::pending;
  } else if (lists(settings_.failed, word)) {
    step.rejected = "the backend says of the call: " + word;
  } else {
    step.url = word_at(result_, *parsed.value);
    if (!step.url.empty() || answer.knows_result) step.kind = Kind::moved;
  }
  return step;
}

milliseconds FollowRules::pause(std::optional<milliseconds> told, std::uint32_t count) const {
  const milliseconds longest = std::max(settings_.interval, settings_.max_interval);
  milliseconds grown = settings_.interval;
  for (std::uint32_t i = 0; i < count && grown < longest; ++i) grown *= 2;
  return std::clamp(told.value_or(grown), settings_.interval, longest);
}

}  // namespace raincheck::routes
