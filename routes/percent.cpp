#include "routes/percent.hpp"

#include <algorithm>

#include "routes/characters.hpp"

namespace raincheck::routes {
namespace {

// Takes one character off the text, decoded.
char take_character(std::string_view& text, Plus plus) {
  const char c = text.front();
  const int high = c == '%' && text.size() > 2 ? hex_digit(text[1]) : -1;
  const int low = high >= 0 ? hex_digit(text[2]) : -1;
  text.remove_prefix(low >= 0 ? 3 : 1);
  if (low >= 0) return static_cast<char>(high * 16 + low);
  return c == '+' && plus == Plus::space ? ' ' : c;
}

bool is_unreserved(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

void append_decoded(std::string& out, std::string_view text, Plus plus) {
  while (!text.empty()) out += take_character(text, plus);
}

bool decodes_to(std::string_view text, std::string_view plain, Plus plus) {
  for (; !text.empty() && !plain.empty(); plain.remove_prefix(1)) {
    if (take_character(text, plus) != plain.front()) return false;
  }
  return text.empty() && plain.empty();
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
}

std::optional<std::string_view> find_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::string_view key = pair.substr(0, pair.find('='));
    if (!decodes_to(key, name, Plus::space)) continue;
    return pair.substr(std::min(key.size() + 1, pair.size()));
  }
  return std::nullopt;
}

}  // namespace raincheck::routes
