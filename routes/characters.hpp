// Which bytes may stand where in an HTTP message (RFC 9110 section 5, RFC 3986). Tables, so that no
// locale is ever asked. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace raincheck::routes {

namespace characters {

enum : std::uint8_t {
  token = 1,  // of a method or a field name
  value = 2,  // of a field value
  path = 4,   // of the path in a request target
  query = 8,  // of its query
  host = 16,  // of a host name
};

constexpr std::array<std::uint8_t, 256> make_table() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view text, std::uint8_t bits) {
    for (const char c : text) table[static_cast<unsigned char>(c)] |= bits;
  };
  for (std::size_t c = 0x20; c < 256; ++c) table[c] = c == 0x7f ? 0 : std::uint8_t{value};
  mark("\t", value);
  constexpr std::string_view letters_and_digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  mark(letters_and_digits, token | path | query | host);
  mark("!#$%&'*+-.^_`|~", token);
  mark("-._~!$&'()*+,;=:@/%[]", path | query);
  // Not of RFC 3986, but browsers leave these as they are in a query (WHATWG URL), and they mean
  // nothing to anybody.
  mark("?\\^`{|}", query);
  mark("-._", host);
  return table;
}

inline constexpr std::array<std::uint8_t, 256> table = make_table();

}  // namespace characters

constexpr bool is_character(char c, std::uint8_t of) {
  return (characters::table[static_cast<unsigned char>(c)] & of) != 0;
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The value of a hexadecimal digit, or -1.
constexpr int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// How many bytes at the beginning of `text` may stand in a field value.
inline std::size_t field_value_prefix(std::string_view text) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t tops = ones * 0x80;
  const char* at = text.data();
  const char* const end = at + text.size();
  // Eight bytes at once, as long as there is neither a control character (a tab included) nor DEL
  // among them.
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t controls = (word - ones * 0x20) & ~word;
    const std::uint64_t no_del = word ^ (ones * 0x7f);
    const std::uint64_t dels = (no_del - ones) & ~no_del;
    if (((controls | dels) & tops) != 0) break;
    at += 8;
  }
  while (at != end && is_character(*at, characters::value)) ++at;
  return static_cast<std::size_t>(at - text.data());
}

}  // namespace raincheck::routes
