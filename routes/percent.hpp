// Percent-encoding (RFC 3986 section 2.1), in paths and in queries of forms. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace raincheck::routes {

enum class Plus : bool { itself, space };  // what '+' stands for: in a query, a space

// Appends the text with its escapes decoded. A '%' without two digits stays as it is.
void append_decoded(std::string& out, std::string_view text, Plus plus);

// Whether the text means `plain` when it is decoded. Allocates nothing.
bool decodes_to(std::string_view text, std::string_view plain, Plus plus);

// Appends the text with all but unreserved characters encoded (letters, digits and -._~).
void append_encoded(std::string& out, std::string_view text);

// The value of the first parameter of that name, still encoded; "" for one without '='.
std::optional<std::string_view> find_parameter(std::string_view query, std::string_view name);

}  // namespace raincheck::routes
