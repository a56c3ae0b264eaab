#include "jobs/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace raincheck::jobs {
namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// What may stand in a JSON string as it is, as far as one byte can tell.
constexpr std::array<bool, 256> is_plain = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0x20; c < 0x80; ++c) table[c] = c != '"' && c != '\\';
  return table;
}();

constexpr std::uint64_t in_each_byte(std::uint64_t value) {
  return 0x0101010101010101 * value;
}

// The highest bit of some byte is set if one of them is below `limit`, which is 0x80 at most.
constexpr std::uint64_t some_below(std::uint64_t bytes, std::uint64_t limit) {
  return (bytes - in_each_byte(limit)) & ~bytes & in_each_byte(0x80);
}

// Where what is plain at the beginning ends, by eights: what follows may be plain too.
std::size_t skip_plain(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + i, 8);
    if ((bytes & in_each_byte(0x80)) | some_below(bytes, 0x20) |
        some_below(bytes ^ in_each_byte('"'), 1) | some_below(bytes ^ in_each_byte('\\'), 1)) {
      break;
    }
  }
  return i;
}

void append_escape(std::string& out, char c) {
  constexpr char hex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += hex[static_cast<unsigned char>(c) >> 4];
      out += hex[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<milliseconds> parse_seconds(std::string_view text, milliseconds max) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc()) return max;
  return std::min<milliseconds>(std::chrono::seconds(seconds), max);
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

Utf8Sequence first_utf8_sequence(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xc2 || lead > 0xf4) return {};
  const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead == 0xe0) low = 0xa0;   // overlong
  if (lead == 0xed) high = 0x9f;  // surrogates
  if (lead == 0xf0) low = 0x90;   // overlong
  if (lead == 0xf4) high = 0x8f;  // beyond U+10FFFF
  for (std::size_t i = 1; i < size; ++i) {
    if (i == text.size() || byte_at(text, i) < low || byte_at(text, i) > high) return {i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {size, true};
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t begin = 0;  // of what is not yet written
  std::size_t i = skip_plain(text);
  while (i < text.size()) {
    if (is_plain[byte_at(text, i)]) {
      ++i;
      continue;
    }
    const Utf8Sequence sequence = first_utf8_sequence(text.substr(i));
    if (sequence.is_well_formed && sequence.size > 1) {
      i += sequence.size;
      continue;
    }
    out.append(text, begin, i - begin);
    if (sequence.is_well_formed) {
      append_escape(out, text[i]);
    } else {
      out += "\xef\xbf\xbd";
    }
    i += sequence.size;
    begin = i;
  }
  out.append(text, begin);
  out += '"';
}

}  // namespace raincheck::jobs
