#include "routes/request_check.hpp"

#include <algorithm>

#include "jobs/text.hpp"
#include "routes/json.hpp"
#include "routes/media_type.hpp"
#include "routes/pattern.hpp"

namespace raincheck::routes {
namespace {

using Where = RequestProblem::Where;

constexpr int status_order[] = {415, 413, 400, 422};

int hex_value(char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::size_t value = digits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
  return value == digits.npos ? -1 : static_cast<int>(value);
}

// As a form is decoded: '+' is a space. A '%' that begins no escape stands for itself.
std::string form_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
                           hex_value(text[i + 2]) >= 0;
    if (is_escape) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parameters_of(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> all;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.empty()) continue;
    const std::size_t equals = std::min(part.find('='), part.size());
    all.emplace_back(form_decoded(part.substr(0, equals)),
                     form_decoded(part.substr(std::min(equals + 1, part.size()))));
  }
  return all;
}

}  // namespace

// Collects what is wrong.
class RequestCheck::Findings {
 public:
  void add(int status, Where where, std::string name, std::string message) {
    statuses_.push_back(status);
    if (verdict_.problems.size() < problems_max) {
      verdict_.problems.push_back({where, std::move(name), std::move(message)});
    }
  }
  bool has(int status) const {
    return std::find(statuses_.begin(), statuses_.end(), status) != statuses_.end();
  }
  // A value that is there.
  void add_value(const Rule& rule, Where where, std::string_view value) {
    if (rule.pattern && !RE2::FullMatch({value.data(), value.size()}, *rule.pattern)) {
      add(400, where, rule.name, "must match the pattern " + rule.text);
    }
  }
  RequestVerdict verdict() {
    for (const int status : status_order) {
      if (verdict_.status == 0 && has(status)) verdict_.status = status;
    }
    return std::move(verdict_);
  }

 private:
  std::vector<int> statuses_;
  RequestVerdict verdict_;
};

RequestCheck::RequestCheck(const config::Validate& rules,
                           const std::string& setting,
                           const JsonSchema::ReadFile& read,
                           std::vector<RuleProblem>& problems)
    : content_types_(rules.content_types),
      headers_(compile(rules.headers)),
      parameters_(compile(rules.query)) {
  if (rules.json_schema.empty()) return;
  std::vector<SchemaError> errors;
  schema_.emplace(JsonSchema::compile(rules.json_schema, read, errors));
  for (const SchemaError& error : errors) {
    problems.push_back({rules.json_schema_place, setting + ".json_schema", error.text()});
  }
}

std::vector<RequestCheck::Rule> RequestCheck::compile(const std::vector<config::ValueRule>& rules) {
  std::vector<Rule> compiled;
  for (const config::ValueRule& rule : rules) {
    std::shared_ptr<const RE2> pattern;
    if (!rule.pattern.empty()) pattern = compile_pattern(rule.pattern);
    compiled.push_back({rule.name, rule.required, std::move(pattern), rule.pattern});
  }
  return compiled;
}

RequestVerdict RequestCheck::check(const CheckedRequest& request) const {
  Findings findings;
  check_type(request, findings);
  check_headers(request, findings);
  check_query(request, findings);
  if (!findings.has(415)) check_body(request, findings);
  return findings.verdict();
}

RequestVerdict RequestCheck::check_head(const CheckedRequest& request) const {
  Findings findings;
  check_type(request, findings);
  check_headers(request, findings);
  check_query(request, findings);
  return findings.verdict();
}

void RequestCheck::check_type(const CheckedRequest& request, Findings& out) const {
  if (content_types_.empty() || !request.body) return;
  const std::string_view type = media_type(request.content_type);
  if (matches_any_media_type(content_types_, type)) return;
  std::string wanted;
  for (const std::string& pattern : content_types_) {
    wanted += (wanted.empty() ? "" : " or ") + pattern;
  }
  out.add(415, Where::header, "Content-Type", "must be " + wanted);
}

void RequestCheck::check_headers(const CheckedRequest& request, Findings& out) const {
  for (const Rule& rule : headers_) {
    bool is_there = false;
    for (const auto& [name, value] : request.headers) {
      if (!jobs::equals_ignoring_case(name, rule.name)) continue;
      is_there = true;
      out.add_value(rule, Where::header, jobs::trim(value));
    }
    if (rule.is_required && !is_there) out.add(400, Where::header, rule.name, "is required");
  }
}

void RequestCheck::check_query(const CheckedRequest& request, Findings& out) const {
  if (parameters_.empty()) return;
  const auto parameters = parameters_of(request.query);
  for (const Rule& rule : parameters_) {
    bool is_there = false;
    for (const auto& [name, value] : parameters) {
      if (name != rule.name) continue;
      is_there = true;
      out.add_value(rule, Where::parameter, value);
    }
    if (rule.is_required && !is_there) out.add(400, Where::parameter, rule.name, "is required");
  }
}

void RequestCheck::check_body(const CheckedRequest& request, Findings& out) const {
  if (!schema_) return;
  if (!request.body || request.body->empty()) {
    out.add(400, Where::body, "", "a JSON body is required");
    return;
  }
  if (request.body->size() > json_body_max) {
    out.add(413, Where::body, "",
            "must not be longer than " + std::to_string(json_body_max) + " bytes to be checked");
    return;
  }
  const ParsedJson parsed = parse_json(*request.body, {json_body_max, JsonLimits().depth});
  if (!parsed) {
    out.add(400, Where::body, "", "must be JSON: " + parsed.why);
    return;
  }
  for (SchemaProblem& problem : schema_->validate(*parsed.value)) {
    out.add(422, Where::body, std::move(problem.pointer), std::move(problem.message));
  }
}

void append_errors(std::string& out, const std::vector<RequestProblem>& problems) {
  out += '[';
  const char* separator = "";
  for (const RequestProblem& problem : problems) {
    out += separator;
    out += "{\"detail\":";
    jobs::append_json_string(out, problem.message);
    switch (problem.where) {
      case Where::header:
        out += ",\"header\":";
        break;
      case Where::parameter:
        out += ",\"parameter\":";
        break;
      case Where::body:
        out += ",\"pointer\":";
        break;
    }
    jobs::append_json_string(out, problem.name);
    out += '}';
    separator = ",";
  }
  out += ']';
}

}  // namespace raincheck::routes
