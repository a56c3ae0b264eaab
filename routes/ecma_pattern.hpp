// Regular expressions as JSON Schema has them (ECMA 262), for RE2, whose time is linear in the text
// whatever the pattern is. Look-around and back references, which no such matcher has, are refused.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>

namespace raincheck::routes {

// Null, and why, if the pattern cannot be used. Matches anywhere in a text, like the original.
std::shared_ptr<const RE2> compile_ecma_pattern(std::string_view pattern, std::string& why);

}  // namespace raincheck::routes
