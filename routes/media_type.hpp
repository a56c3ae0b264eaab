// Media types (RFC 9110 section 8.3.1), as far as rules ask about them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace raincheck::routes {

// "text/html" of "Text/HTML; charset=utf-8": without parameters, as it was written.
std::string_view media_type(std::string_view content_type);

// Patterns are those of check_media_type(): "text/html", "text/*", "application/*+json", "*/*".
bool matches_media_type(std::string_view pattern, std::string_view type);
bool matches_any_media_type(const std::vector<std::string>& patterns, std::string_view type);

}  // namespace raincheck::routes
