#include "proxy/byte_range.hpp"

#include <boost/algorithm/string/predicate.hpp>
#include <charconv>

namespace raincheck::proxy {
namespace {

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> field_of(std::string_view fields, std::string_view name) {
  while (!fields.empty()) {
    const std::string_view line = fields.substr(0, fields.find("\r\n"));
    fields.remove_prefix(std::min(fields.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && boost::algorithm::iequals(line.substr(0, colon), name)) {
      return trim(line.substr(colon + 1));
    }
  }
  return std::nullopt;
}

}  // namespace

RangeAnswer choose_range(std::string_view value, std::uint64_t size) {
  constexpr std::string_view unit = "bytes=";
  if (!boost::algorithm::istarts_with(value, unit)) return {};
  const std::string_view spec = trim(value.substr(unit.size()));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return {};
  const std::string_view from = spec.substr(0, dash);
  const std::string_view to = spec.substr(dash + 1);
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (from.empty()) {
    std::uint64_t suffix = 0;
    if (!parse_number(to, suffix)) return {};
    if (suffix == 0 || size == 0) return {RangeAnswer::Kind::unsatisfiable, {}};
    first = size - std::min(suffix, size);
    return {RangeAnswer::Kind::part, {first, size - first}};
  }
  if (!parse_number(from, first)) return {};
  if (!to.empty() && (!parse_number(to, last) || last < first)) return {};
  if (first >= size) return {RangeAnswer::Kind::unsatisfiable, {}};
  if (to.empty() || last >= size) last = size - 1;
  return {RangeAnswer::Kind::part, {first, last - first + 1}};
}

bool if_range_holds(std::optional<std::string_view> if_range, std::string_view fields) {
  if (!if_range) return true;
  if (if_range->starts_with("W/")) return false;
  const auto stored = field_of(fields, if_range->starts_with('"') ? "ETag" : "Last-Modified");
  return stored && *stored == *if_range;
}

}  // namespace raincheck::proxy
