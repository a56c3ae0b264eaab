// Settings with ${...} of a request, as the configuration reads them, of plain text and of JSON.
#pragma once

#include <string_view>

#include "config/interpolate.hpp"
#include "routes/json.hpp"

namespace raincheck::routes::tests {

inline config::TemplateText text_of(std::string_view text) {
  return config::interpolate_template(text, config::Environment::empty()).text;
}

inline void append_strings(const Json& json, std::vector<config::TemplateText>& strings) {
  if (json.kind == Json::Kind::string) strings.push_back(text_of(json.text));
  for (const Json& item : json.items) append_strings(item, strings);
}

inline config::TemplateJson json_of(std::string_view json) {
  config::TemplateJson out{std::string(json), {}};
  append_strings(*parse_json(json).value, out.strings);
  return out;
}

}  // namespace raincheck::routes::tests
