#include "routes/json_pointer.hpp"

#include <algorithm>
#include <charconv>

#include "jobs/text.hpp"

namespace raincheck::routes {
namespace {

Json* step(Json& json, const std::string& token) {
  if (json.kind == Json::Kind::object) return json.find(token);
  if (json.kind != Json::Kind::array) return nullptr;
  const auto index = parse_index(token);
  return index && *index < json.items.size() ? &json.items[*index] : nullptr;
}

Json* walk(Json& json, const std::vector<std::string>& tokens, std::size_t count) {
  Json* found = &json;
  for (std::size_t i = 0; i < count && found != nullptr; ++i) found = step(*found, tokens[i]);
  return found;
}

}  // namespace

std::optional<JsonPointer> JsonPointer::parse(std::string_view text) {
  JsonPointer pointer;
  if (text.empty()) return pointer;
  if (text.front() != '/') return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      pointer.tokens_.emplace_back();
    } else if (text[i] != '~') {
      pointer.tokens_.back() += text[i];
    } else {
      ++i;
      if (i == text.size() || (text[i] != '0' && text[i] != '1')) return std::nullopt;
      pointer.tokens_.back() += text[i] == '0' ? '~' : '/';
    }
  }
  return pointer;
}

bool JsonPointer::is_prefix_of(const JsonPointer& other) const {
  return tokens_.size() <= other.tokens_.size() &&
         std::equal(tokens_.begin(), tokens_.end(), other.tokens_.begin());
}

const Json* JsonPointer::find(const Json& document) const {
  return walk(const_cast<Json&>(document), tokens_, tokens_.size());
}

Json* JsonPointer::find(Json& document) const {
  return walk(document, tokens_, tokens_.size());
}

Json* JsonPointer::find_parent(Json& document) const {
  return walk(document, tokens_, tokens_.size() - 1);
}

std::optional<std::size_t> parse_index(std::string_view token) {
  if (token.empty() || (token.size() > 1 && token.front() == '0')) return std::nullopt;
  if (!std::all_of(token.begin(), token.end(), jobs::is_digit)) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc()) return std::nullopt;
  return index;
}

void append_pointer_token(std::string& pointer, std::string_view name) {
  pointer += '/';
  for (const char c : name) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

}  // namespace raincheck::routes
