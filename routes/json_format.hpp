// The values of "format" in JSON Schema that are checked: those with one meaning that needs no
// database (draft 7 section 7.3). Other formats are notes for the reader. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace raincheck::routes {

enum class JsonFormat : unsigned char { date, time, date_time, ipv4, ipv6, uuid, json_pointer };

std::optional<JsonFormat> parse_json_format(std::string_view word);
const char* name(JsonFormat format);
bool has_format(std::string_view text, JsonFormat format);

}  // namespace raincheck::routes
