#include "jobs/labels.hpp"

#include <algorithm>

#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

// U+0000 to U+001F and U+007F to U+009F.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < ' ' || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace

bool is_label_value(std::string_view value) {
  if (value.empty() || value.size() > label_value_max) return false;
  while (!value.empty()) {
    const Utf8Sequence next = first_utf8_sequence(value);
    if (!next.is_well_formed || is_control(value.substr(0, next.size))) return false;
    value.remove_prefix(next.size);
  }
  return true;
}

void append_label(std::string& labels, std::string_view name, std::string_view value) {
  labels.append(name).append("=").append(value).append("\n");
}

std::string_view take_label(std::string_view& labels) {
  const std::string_view label = labels.substr(0, labels.find('\n'));
  labels.remove_prefix(std::min(labels.size(), label.size() + 1));
  return label;
}

}  // namespace raincheck::jobs
