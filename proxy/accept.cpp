#include "proxy/accept.hpp"

#include <algorithm>

namespace raincheck::proxy {

namespace {

constexpr int quality_max = 1000;  // qualities are counted in thousandths

// From least to most specific.
constexpr std::string_view json_ranges[] = {"*/*", "application/*", "application/json"};

// Takes what comes before `separator` off `text`; within quotes there is none.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (quoted || text[at] != separator); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (quoted && text[at] == '\\') ++at;
  }
  const std::string_view taken = jobs::trim(text.substr(0, at));
  text.remove_prefix(std::min(text.size(), at + 1));
  return taken;
}

std::optional<int> parse_quality(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int quality = text[0] == '1' ? quality_max : 0;
  int unit = quality_max / 10;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!jobs::is_digit(c)) return std::nullopt;
    quality += (c - '0') * unit;
    unit /= 10;
  }
  return quality <= quality_max ? std::optional(quality) : std::nullopt;
}

// The quality that the parameters of a media range give it; nothing when it is malformed.
std::optional<int> quality_of(std::string_view parameters) {
  std::optional<int> quality = quality_max;
  while (!parameters.empty() && quality) {
    std::string_view value = take_until(parameters, ';');
    const std::string_view name = take_until(value, '=');
    if (is_same_name(name, "q")) quality = parse_quality(value);
  }
  return quality;
}

}  // namespace

bool prefers_event_stream(const Fields& fields) {
  int stream = 0;
  int json = 0;
  std::size_t specificity = 0;
  fields.for_each("Accept", [&](std::string_view list) {
    while (!list.empty()) {
      std::string_view parameters = take_until(list, ',');
      const std::string_view range = take_until(parameters, ';');
      const std::optional<int> quality = quality_of(parameters);
      if (!quality) continue;
      if (is_same_name(range, "text/event-stream")) stream = std::max(stream, *quality);
      for (std::size_t i = specificity; i < std::size(json_ranges); ++i) {
        if (!is_same_name(range, json_ranges[i])) continue;
        json = *quality;
        specificity = i;
      }
    }
  });
  return stream > 0 && stream >= json;
}

}  // namespace raincheck::proxy
