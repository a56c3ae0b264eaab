#include "routes/json_template.hpp"

namespace raincheck::routes {
namespace {

constexpr std::size_t depth_max = 64;

// Puts the texts in place of the strings, from `next` on.
Rendering put_strings(Json& json,
                      const std::vector<Template>& strings,
                      const Values& values,
                      std::size_t& next) {
  if (json.kind == Json::Kind::string && next < strings.size()) {
    return strings[next++].render_json(values, json);
  }
  for (Json& item : json.items) {
    if (const Rendering rendering = put_strings(item, strings, values, next); !rendering) {
      return rendering;
    }
  }
  return {};
}

}  // namespace

JsonTemplate JsonTemplate::compile(const config::TemplateJson& from,
                                   const std::string& setting,
                                   const Scope& scope,
                                   std::vector<RuleProblem>& problems) {
  JsonTemplate out;
  ParsedJson parsed = parse_json(from.json, {from.json.size(), depth_max});
  if (parsed) out.json_ = std::move(*parsed.value);
  for (const config::TemplateText& text : from.strings) {
    std::string why;
    out.strings_.push_back(Template::compile(text, scope, why));
    if (!why.empty()) problems.push_back({text.place, setting, why});
  }
  return out;
}

Rendering JsonTemplate::render(const Values& values, Json& out) const {
  out = json_;
  std::size_t next = 0;
  return put_strings(out, strings_, values, next);
}

}  // namespace raincheck::routes
