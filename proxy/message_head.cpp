#include "proxy/message_head.hpp"

#include <algorithm>

#include "proxy/characters.hpp"

namespace raincheck::proxy {

namespace {

// Memory for more fields than this is not kept: one odd message must not cost for the rest of a
// connection's life.
constexpr std::size_t fields_kept_max = 128;

}  // namespace

void Fields::clear() {
  if (fields_.capacity() > fields_kept_max) {
    std::vector<Field>().swap(fields_);
  } else {
    fields_.clear();
  }
}

std::optional<std::string_view> Fields::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (is_same_name(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::size_t Fields::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields_.begin(), fields_.end(),
                    [name](const Field& field) { return is_same_name(field.name, name); }));
}

std::string_view take_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  std::string_view element = list.substr(0, comma);
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  while (!element.empty() && is_blank(element.front())) element.remove_prefix(1);
  while (!element.empty() && is_blank(element.back())) element.remove_suffix(1);
  return element;
}

}  // namespace raincheck::proxy
