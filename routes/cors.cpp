#include "routes/cors.hpp"

#include <algorithm>

#include "jobs/text.hpp"

namespace raincheck::routes {
namespace {

constexpr std::string_view every = "*";
constexpr std::string_view family = "Access-Control-";
// Without them no page could follow a job.
constexpr std::string_view exposed_always[] = {"Location", "Retry-After", "ETag"};

std::string_view origin_of(const Fields& request) {
  return request.count("Origin") == 1 ? *request.find("Origin") : std::string_view();
}

bool is_label(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

void append_list(std::string& out,
                 std::string_view name,
                 const std::vector<std::string>& elements) {
  FieldLine line(out, name);
  for (const std::string& element : elements) line.add_element(element);
  line.finish_unless_empty();
}

// What varies must be said even to who gets nothing, or a cache would give that to others.
void append_vary(std::string& out, std::string_view names) {
  (void)append_field(out, "Vary", names);
}

}  // namespace

Cors::Cors(const config::Cors& settings)
    : allow_headers_(settings.allow_headers), expose_headers_(settings.expose_headers) {
  for (const std::string& origin : settings.allow_origins) {
    origins_.push_back({origin, settings.allow_credentials, settings.max_age});
  }
}

void Cors::add(const Cors& other) {
  origins_.insert(origins_.end(), other.origins_.begin(), other.origins_.end());
}

bool Cors::Origin::matches(std::string_view origin) const {
  const std::size_t star = text.find('*');
  if (star == text.npos) return text == origin;
  if (text == every) return true;
  const std::string_view before = std::string_view(text).substr(0, star);
  const std::string_view after = std::string_view(text).substr(star + 1);
  return origin.size() > before.size() + after.size() && origin.starts_with(before) &&
         origin.ends_with(after) &&
         is_label(origin.substr(before.size(), origin.size() - before.size() - after.size()));
}

Cors::Verdict Cors::judge(std::string_view origin) const {
  Verdict verdict;
  for (const Origin& each : origins_) {
    if (!each.matches(origin)) continue;
    const bool is_first = verdict.allowed.empty();
    verdict.max_age = is_first ? each.max_age : std::min(verdict.max_age, each.max_age);
    // Credentials need the origin itself.
    if (is_first || each.credentials) verdict.allowed = each.text == every ? every : origin;
    verdict.credentials = verdict.credentials || each.credentials;
  }
  return verdict;
}

void Cors::append_verdict(const Verdict& verdict, std::string& out) const {
  (void)append_field(out, "Access-Control-Allow-Origin", verdict.allowed);
  if (verdict.credentials) (void)append_field(out, "Access-Control-Allow-Credentials", "true");
}

std::string_view Cors::asked_method(std::string_view method, const Fields& request) {
  if (method != "OPTIONS" || !request.find("Origin")) return {};
  const std::string_view asked = request.find("Access-Control-Request-Method").value_or("");
  return is_token(asked) ? asked : std::string_view();
}

void Cors::append_preflight(const Fields& request,
                            std::string_view methods,
                            std::string& out) const {
  append_vary(out, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  const Verdict verdict = judge(origin_of(request));
  if (verdict.allowed.empty()) return;
  append_verdict(verdict, out);
  (void)append_field(out, "Access-Control-Allow-Methods", methods);
  if (!allow_headers_.empty()) {
    append_list(out, "Access-Control-Allow-Headers", allow_headers_);
  } else {
    FieldLine line(out, "Access-Control-Allow-Headers");
    request.for_each_element("Access-Control-Request-Headers", [&line](std::string_view name) {
      if (is_token(name)) line.add_element(name);
    });
    line.finish_unless_empty();
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(verdict.max_age);
  (void)append_field(out, "Access-Control-Max-Age", std::to_string(seconds.count()));
}

void Cors::append_answer(const Fields& request, std::string& out) const {
  const bool varies = std::any_of(origins_.begin(), origins_.end(),
                                  [](const Origin& origin) { return origin.text != every; });
  if (varies) append_vary(out, "Origin");
  const Verdict verdict = judge(origin_of(request));
  if (verdict.allowed.empty()) return;
  append_verdict(verdict, out);
  FieldLine line(out, "Access-Control-Expose-Headers");
  for (const std::string_view name : exposed_always) line.add_element(name);
  for (const std::string& name : expose_headers_) line.add_element(name);
  line.finish();
}

void Cors::erase_from(std::string& lines) {
  Fields fields;
  fields.assign(lines);
  const std::size_t before = fields.size();
  fields.erase_if([](const Field& field) {
    return field.name.size() > family.size() &&
           is_same_name(field.name.substr(0, family.size()), family);
  });
  if (fields.size() == before) return;
  std::string kept;
  fields.append_to(kept);
  lines = std::move(kept);
}

}  // namespace raincheck::routes
