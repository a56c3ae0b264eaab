#include "routes/json_template.hpp"

namespace raincheck::routes {
namespace {

template <class Node, class F>
void for_each_text(Node& json, const F& visit) {
  if (json.kind == Json::Kind::string && has_placeholder(json.text)) visit(json.text);
  for (auto& item : json.items) for_each_text(item, visit);
}

}  // namespace

bool has_placeholder(std::string_view text) {
  return text.find("${") != text.npos;
}

JsonTemplate::JsonTemplate(std::string_view json) {
  if (auto parsed = parse_json(json, {json.size(), 64})) json_ = std::move(*parsed.value);
  for_each_text(json_, [&](const std::string& text) { texts_.push_back(text); });
}

Json JsonTemplate::render(std::span<const std::string> values) const {
  Json out = json_;
  std::size_t next = 0;
  for_each_text(out, [&](std::string& text) { text = values[next++]; });
  return out;
}

}  // namespace raincheck::routes
