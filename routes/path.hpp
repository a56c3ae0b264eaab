// Brings a request target into the one form that is used both to match it and to forward it, so
// that the two can never disagree. Pure, and free of allocations when the target is in that form
// already.
//
// Unreserved characters are decoded, escapes written in capitals, dot segments removed and slashes
// merged (RFC 3986 6.2.2). What servers are known to read differently is refused: encoded slashes,
// backslashes and NUL, dot segments above the root or with parameters, bytes outside of visible
// ASCII. The query is kept byte for byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace raincheck::routes {

// Views into the target that was given or into the buffer; valid as long as both are untouched.
struct Target {
  std::string_view text;   // path and query, as they are forwarded
  std::string_view path;   // begins with '/'
  std::string_view query;  // without its '?'
  bool has_query = false;  // "/x?" has an empty one
};

// Of a target in normal form.
Target split_target(std::string_view target);

// `target` in origin form. `buffer` is written only when something changes. On failure `why` says
// in words what is wrong with the target.
std::optional<Target> normalize(std::string_view target,
                                std::string& buffer,
                                std::string_view& why);

}  // namespace raincheck::routes
