#include "routes/body_fields.hpp"

#include <algorithm>

#include "jobs/text.hpp"
#include "routes/content_coding.hpp"

namespace raincheck::routes {
namespace {

struct Row {
  std::string_view name;
  FieldFate fate;
};

constexpr Row rows[] = {
    {"content-length", FieldFate::removed}, {"content-md5", FieldFate::removed},
    {"digest", FieldFate::removed},         {"content-digest", FieldFate::removed},
    {"repr-digest", FieldFate::removed},    {"accept-ranges", FieldFate::removed},
    {"etag", FieldFate::weakened},
};

bool is_entity_tag(std::string_view text) {
  return text.size() >= 2 && text.front() == '"' && text.find('"', 1) == text.size() - 1;
}

}  // namespace

FieldFate fate_of_field(std::string_view name, bool is_encoded_again) {
  for (const Row& row : rows) {
    if (jobs::equals_ignoring_case(name, row.name)) return row.fate;
  }
  const bool is_encoding = jobs::equals_ignoring_case(name, "content-encoding");
  return is_encoding && !is_encoded_again ? FieldFate::removed : FieldFate::kept;
}

std::optional<std::string> weak_etag(std::string_view value) {
  const bool is_weak = value.substr(0, 2) == "W/";
  if (!is_entity_tag(value.substr(is_weak ? 2 : 0))) return std::nullopt;
  return (is_weak ? "" : "W/") + std::string(value);
}

bool asks_for_ranges(std::string_view name) {
  return jobs::equals_ignoring_case(name, "range") || jobs::equals_ignoring_case(name, "if-range");
}

std::string_view content_encoding_of(const Fields& fields) {
  if (fields.count("Content-Encoding") > 1) return "several fields";
  return fields.find("Content-Encoding").value_or("");
}

std::string known_encodings(std::string_view accept_encoding) {
  std::string known;
  while (!accept_encoding.empty()) {
    const std::size_t comma = std::min(accept_encoding.find(','), accept_encoding.size());
    const std::string_view element = jobs::trim(accept_encoding.substr(0, comma));
    accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
    const std::string_view coding = jobs::trim(element.substr(0, element.find(';')));
    if (coding.empty() || !parse_content_encoding(coding)) continue;
    known += (known.empty() ? "" : ", ") + std::string(element);
  }
  return known.empty() ? "identity" : known;
}

}  // namespace raincheck::routes
