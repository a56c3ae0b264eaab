#include "routes/ecma_pattern.hpp"

#include <optional>

namespace raincheck::routes {
namespace {

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

// What follows the backslash at `i`, written for RE2; moves `i` to its last character.
std::string translate_escape(std::string_view pattern, std::size_t& i) {
  const char c = pattern[++i];
  const std::string_view rest = pattern.substr(i + 1);
  if (c == 'u' && rest.size() >= 4 && is_hex(rest.substr(0, 4))) {
    i += 4;
    return "\\x{" + std::string(rest.substr(0, 4)) + "}";
  }
  if (c == 'c' && !rest.empty()) {  // \cJ is a line feed
    ++i;
    constexpr std::string_view hex = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(rest.front()) & 0x1F;
    return std::string("\\x") + hex[static_cast<std::size_t>(code >> 4)] +
           hex[static_cast<std::size_t>(code & 15)];
  }
  if (c == '0') return "\\x00";
  return {'\\', c};
}

std::string translate(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      out += translate_escape(pattern, i);
    } else if (pattern.substr(i, 3) == "(?<" && pattern.substr(i + 3, 1) != "=" &&
               pattern.substr(i + 3, 1) != "!") {
      out += "(?P<";
      i += 2;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const RE2> compile_ecma_pattern(std::string_view pattern, std::string& why) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{1} << 20);
  auto compiled = std::make_shared<const RE2>(translate(pattern), options);
  if (compiled->ok()) return compiled;
  why = compiled->error();
  return nullptr;
}

}  // namespace raincheck::routes
