// Fuzzes texts with parts of a request: nothing breaks out of a field, a rewritten path, a host or
// a document, whatever the text and the request are, and the rule backwards gives normal forms.
//
// The first line is the text, the second the target, the rest field lines.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/interpolate.hpp"
#include "routes/authority.hpp"
#include "routes/documents.hpp"
#include "routes/header_rules.hpp"
#include "routes/rewrite.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace raincheck;
using fuzz::require;

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  return line;
}

bool is_normal(std::string_view target) {
  std::string buffer;
  std::string_view why;
  const auto normal = routes::normalize(target, buffer, why);
  return normal && normal->text == target;
}

void check_field(const config::TemplateText& text,
                 const routes::Scope& scope,
                 const routes::Values& values) {
  config::HeaderChanges changes;
  changes.set.push_back({"X-Set", text});
  changes.add.push_back({"X-Add", text});
  changes.default_.push_back({"X-Default", text});
  std::vector<routes::RuleProblem> problems;
  const auto rules = routes::HeaderRules::compile(changes, "request_headers", scope, problems);
  if (!problems.empty()) return;
  routes::Fields fields = *values.fields;
  std::string arena;
  require(static_cast<bool>(rules.apply(values, fields, arena)), "without secrets it cannot fail");
  for (const routes::Field& field : fields) {
    require(routes::is_field_value(field.value), "a value that stays in its line");
  }
  std::string lines;
  fields.append_to(lines);
  routes::Fields again;
  again.assign(lines);
  require(again.size() == fields.size(), "as many fields as were written");
}

void check_rewrite(const config::TemplateText& text,
                   const routes::PathPattern& pattern,
                   const routes::Values& values) {
  config::Rewrite settings;
  settings.path = text;
  std::vector<routes::RuleProblem> problems;
  const auto path = routes::Rewrite::compile(settings, pattern, problems);
  settings.path.reset();
  settings.host = text;
  std::string target;
  std::string why;
  if (problems.empty() && path.make_target(values, target, why)) {
    require(is_normal(target), "a target in normal form");
    const auto back = path.reverse(values, target.substr(0, target.find('?')));
    require(!back || back->starts_with('/'), "a path backwards");
  }
  problems.clear();
  const auto host = routes::Rewrite::compile(settings, pattern, problems);
  std::string name;
  if (problems.empty() && host.make_host(values, name, why)) {
    require(routes::parse_authority(name) == name, "a host");
  }
}

// Whatever the values are, a document keeps its structure.
void check_document(const config::TemplateText& text,
                    const routes::PathPattern& pattern,
                    routes::Values values) {
  config::Documents settings;
  settings.error.json = {R"({"a":["x"]})", {text}};
  std::vector<routes::RuleProblem> problems;
  const auto documents = routes::Documents::compile(settings, pattern, problems);
  if (!problems.empty()) return;
  routes::DocumentValues of;
  of[routes::DocumentName::error_status] = "404";
  of[routes::DocumentName::error_detail] = values.target.text;
  values.document = &of;
  std::string out;
  if (!documents.error.render(values, out)) return;
  const routes::ParsedJson json = routes::parse_json(out);
  require(json && json.value->items.size() == 1, "a document with its one member");
  require(json.value->items.front().items.size() == 1, "whose list has its one value");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view written = take_line(rest);
  const std::string_view asked = take_line(rest);
  const auto text = config::interpolate_template(written, config::Environment::empty());
  std::string buffer;
  std::string_view reason;
  const auto target = routes::normalize(asked, buffer, reason);
  if (!text.problem.empty() || !target) return 0;
  for (const char c : written) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return 0;  // refused by the reader
  }
  std::string why;
  const auto pattern = routes::PathPattern::parse("/{a}/b/{rest...}", why);
  routes::Fields fields;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !routes::is_token(line.substr(0, colon))) continue;
    const std::string_view value = jobs::trim(line.substr(colon + 1));
    if (routes::is_field_value(value)) fields.push_back({line.substr(0, colon), value});
  }
  routes::Values values;
  values.target = *target;
  values.pattern = pattern.matches(target->path) ? &pattern : nullptr;
  values.fields = &fields;
  values.host = "api.example.com";
  check_field(text.text, routes::Scope{&pattern, false}, values);
  check_rewrite(text.text, pattern, values);
  check_document(text.text, pattern, values);
  return 0;
}
