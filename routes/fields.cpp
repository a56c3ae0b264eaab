#include "routes/fields.hpp"

#include <algorithm>

#include "routes/characters.hpp"

namespace raincheck::routes {
namespace {

// Memory for more fields than this is not kept: one odd message must not cost for the rest of a
// connection's life.
constexpr std::size_t fields_kept_max = 128;

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return is_character(c, characters::token); });
}

bool is_field_value(std::string_view text) {
  return field_value_prefix(text) == text.size();
}

FieldLine::FieldLine(std::string& out, std::string_view name) : out_(out), begin_(out.size()) {
  is_good_ = is_token(name);
  out_.append(name).append(": ");
  value_ = out_.size();
}

void FieldLine::add(std::string_view text) {
  out_.append(text);
}

void FieldLine::add_element(std::string_view element) {
  if (!is_empty()) out_.append(", ");
  out_.append(element);
}

bool FieldLine::finish() {
  is_good_ = is_good_ && is_field_value(std::string_view(out_).substr(value_));
  if (is_good_) {
    out_.append("\r\n");
  } else {
    out_.resize(begin_);
  }
  return is_good_;
}

bool FieldLine::finish_unless_empty() {
  is_good_ = is_good_ && !is_empty();
  return finish();
}

bool append_field(std::string& out, std::string_view name, std::string_view value) {
  FieldLine line(out, name);
  line.add(jobs::trim(value));
  return line.finish();
}

void Fields::clear() {
  if (fields_.capacity() > fields_kept_max) {
    std::vector<Field>().swap(fields_);
  } else {
    fields_.clear();
  }
}

void Fields::assign(std::string_view lines) {
  clear();
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon != line.npos) {
      push_back({line.substr(0, colon), jobs::trim(line.substr(colon + 1))});
    }
    lines.remove_prefix(std::min(end + 2, lines.size()));
  }
}

void Fields::append_to(std::string& out) const {
  for (const Field& field : fields_) (void)append_field(out, field.name, field.value);
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
  const std::string_view element = list.substr(0, comma);
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return jobs::trim(element);
}

}  // namespace raincheck::routes
