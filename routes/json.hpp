// JSON as rules work on it: a tree that keeps each number as it was written and the members of an
// object in their order, so that what no rule touches comes out with the same meaning, whatever its
// size or precision. (Boost.JSON reads the text; its own values would turn numbers beyond 64 bits
// or 17 digits into doubles.) Two members of one name are refused: two readers could take two
// different ones. Values; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::routes {

struct Json {
  enum class Kind : unsigned char { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  bool is_true = false;     // of a boolean
  std::string name;         // as a member of an object
  std::string text;         // of a string, unescaped UTF-8; of a number, as written
  std::vector<Json> items;  // of an array; the members of an object

  static Json string(std::string text);

  // The member of an object; null: there is none.
  const Json* find(std::string_view member) const;
  Json* find(std::string_view member);
};

struct JsonLimits {
  std::size_t bytes = std::size_t{1} << 20;
  std::size_t depth = 64;
  // A value takes about 100 bytes of memory, however short its text is.
  std::size_t values() const { return bytes / 4 + 16; }
};

struct ParsedJson {
  explicit operator bool() const { return value.has_value(); }

  std::optional<Json> value;
  std::string why;  // if there is no value: one clause, with the place in the text
};

// RFC 8259, nothing more: no comments, no trailing commas, UTF-8 only.
ParsedJson parse_json(std::string_view text, const JsonLimits& limits = {});

// What can be read of a JSON text whose end was cut off: its values up to there, with the
// containers around them. What was cut within a number or string is left out.
ParsedJson parse_json_beginning(std::string_view text, const JsonLimits& limits = {});

// Compact, as one line; without the name of a member.
void append_json(std::string& out, const Json& json);
std::string to_text(const Json& json);

// Equal as RFC 6902 section 4.6 has it: numbers by their value, members in any order.
bool is_equal(const Json& a, const Json& b);

// The same text for all values that are equal, and only for them.
std::string canonical(const Json& json);

// The values in it, itself included.
std::size_t count_values(const Json& json);

}  // namespace raincheck::routes
