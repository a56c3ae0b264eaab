#include "routes/media_type.hpp"

#include <algorithm>

#include "jobs/text.hpp"

namespace raincheck::routes {

std::string_view media_type(std::string_view content_type) {
  return jobs::trim(content_type.substr(0, content_type.find(';')));
}

bool matches_media_type(std::string_view pattern, std::string_view type) {
  const std::size_t star = pattern.find('*');
  if (pattern == "*/*") return !type.empty();
  if (star == pattern.npos) return jobs::equals_ignoring_case(pattern, type);
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  return type.size() > head.size() + tail.size() &&
         jobs::equals_ignoring_case(type.substr(0, head.size()), head) &&
         jobs::equals_ignoring_case(type.substr(type.size() - tail.size()), tail);
}

bool matches_any_media_type(const std::vector<std::string>& patterns, std::string_view type) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches_media_type(pattern, type); });
}

}  // namespace raincheck::routes
