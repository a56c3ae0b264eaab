// JSON Pointer (RFC 6901). Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routes/json.hpp"

namespace raincheck::routes {

class JsonPointer {
 public:
  JsonPointer() = default;  // the whole document

  // Nothing if the text is no pointer: it does not begin with '/', or has a '~' of its own.
  static std::optional<JsonPointer> parse(std::string_view text);

  const std::vector<std::string>& tokens() const { return tokens_; }
  bool is_prefix_of(const JsonPointer& other) const;

  // Null: there is no such value. "-", the place after the last item, never is one.
  const Json* find(const Json& document) const;
  Json* find(Json& document) const;
  // The value that holds what it names. Not for the whole document, which nothing holds.
  Json* find_parent(Json& document) const;

 private:
  std::vector<std::string> tokens_;
};

// The index that a token of a pointer is: digits without leading zeros.
std::optional<std::size_t> parse_index(std::string_view token);

// Adds "/" and the name, escaped.
void append_pointer_token(std::string& pointer, std::string_view name);

}  // namespace raincheck::routes
