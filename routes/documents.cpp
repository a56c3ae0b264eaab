#include "routes/documents.hpp"

#include <array>

#include "jobs/idempotency.hpp"
#include "routes/body_rules.hpp"
#include "routes/media_type.hpp"

namespace raincheck::routes {
namespace {

// A few hexadecimal digits that tell settings apart.
std::string tag_of(const config::Documents& documents) {
  const config::Document& status = documents.status;
  const config::StateWords& words = documents.states;
  std::string all;
  for (const std::string& text :
       {status.content_type, status.json.json, status.text ? status.text->written : std::string(),
        words.queued, words.running, words.succeeded, words.failed, words.canceled}) {
    all.append(text).push_back('\0');
  }
  constexpr std::string_view digits = "0123456789abcdef";
  const auto digest = jobs::digest_body(all);
  std::string tag = "-";
  for (std::size_t i = 0; i < 4; ++i) {
    tag += digits[digest[i] >> 4];
    tag += digits[digest[i] & 15];
  }
  return tag;
}

// No value can change the structure of the text.
bool is_escaped_as_needed(Form form, const Template& text, std::string_view type) {
  return form != Form::text || text.is_constant() || is_plain_text(type);
}

}  // namespace

Document Document::compile(const config::Document& document,
                           const std::string& setting,
                           const Scope& scope,
                           std::vector<RuleProblem>& problems) {
  Document out;
  out.content_type_ = document.content_type.empty() ? "application/json" : document.content_type;
  out.form_ = form_of(media_type(out.content_type_));
  if (!document.json.json.empty()) {
    out.json_ = JsonTemplate::compile(document.json, setting + ".json", scope, problems);
  }
  if (document.text) {
    std::string why;
    out.text_ = Template::compile(*document.text, scope, why);
    if (why.empty() &&
        !is_escaped_as_needed(out.form_, *out.text_, media_type(out.content_type_))) {
      why = "what ${...} puts into a text of the type '" + out.content_type_ +
            "' cannot be escaped; the types that can have it are those of JSON, JavaScript, HTML, "
            "XML and forms, text/plain, text/csv and text/tab-separated-values";
    }
    if (!why.empty()) problems.push_back({document.text->place, setting + ".text", why});
  }
  return out;
}

bool Document::render(const Values& values, std::string& out) const {
  if (text_) return static_cast<bool>(text_->render(values, form_, out));
  Json json;
  if (!json_ || !json_->render(values, json)) return false;
  append_json(out, json);
  return true;
}

Documents Documents::compile(const config::Documents& documents,
                             const PathPattern& pattern,
                             std::vector<RuleProblem>& problems) {
  Scope of_accepted{&pattern, false};
  of_accepted.job = true;
  Scope of_status{&pattern, false};
  of_status.job = true;
  of_status.has_request = false;
  Scope of_error{&pattern, false};
  of_error.error = true;
  Documents out;
  out.accepted = Document::compile(documents.accepted, "documents.accepted", of_accepted, problems);
  out.status = Document::compile(documents.status, "documents.status", of_status, problems);
  out.error = Document::compile(documents.error, "documents.error", of_error, problems);
  const config::StateWords& words = documents.states;
  out.words_ = {words.queued, words.running, words.succeeded, words.failed, words.canceled};
  if (!out.status.is_empty()) out.status_tag_ = tag_of(documents);
  return out;
}

}  // namespace raincheck::routes
