#include "jobs/prefer.hpp"

#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";

bool is_token_char(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         token_marks.find(c) != std::string_view::npos;
}

// A name and, if there is one, its value, without quotes. Escapes within quotes are left as they
// are: no value that we know has any.
struct Item {
  std::string_view name;
  std::string_view value;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }

  // The next member of the list, without its parameters; nothing when it is malformed or empty.
  std::optional<Item> next() {
    const std::size_t begin = at_;
    std::optional<Item> item = pair();
    while (item && skip(';')) {
      skip_space();
      // A parameter may be missing between two semicolons.
      if (!at_end() && is_token_char(text_[at_]) && !pair()) item.reset();
    }
    skip_space();
    if (item && (at_end() || text_[at_] == ',')) {
      skip(',');
      return item;
    }
    at_ = begin;
    skip_member();
    return std::nullopt;
  }

 private:
  void skip_space() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  bool skip(char c) {
    skip_space();
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // To behind the next comma that is not within quotes.
  void skip_member() {
    bool quoted = false;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') quoted = !quoted;
      if (quoted && c == '\\' && !at_end()) ++at_;
      if (!quoted && c == ',') return;
    }
  }

  std::string_view token() {
    const std::size_t begin = at_;
    while (!at_end() && is_token_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  std::optional<std::string_view> quoted() {
    const std::size_t begin = ++at_;
    for (; !at_end(); ++at_) {
      if (text_[at_] == '\\') {
        if (++at_ == text_.size()) break;
      } else if (text_[at_] == '"') {
        return text_.substr(begin, at_++ - begin);
      }
    }
    return std::nullopt;
  }

  std::optional<Item> pair() {
    skip_space();
    Item item;
    item.name = token();
    if (item.name.empty()) return std::nullopt;
    if (!skip('=')) return item;
    skip_space();
    if (at_end() || text_[at_] != '"') {
      item.value = token();
      if (item.value.empty()) return std::nullopt;
      return item;
    }
    const std::optional<std::string_view> value = quoted();
    if (!value) return std::nullopt;
    item.value = *value;
    return item;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Prefer parse_prefer(std::span<const std::string_view> values) {
  Prefer prefer;
  bool has_wait = false;
  for (const std::string_view value : values) {
    for (Reader reader(value); !reader.at_end();) {
      const std::optional<Item> item = reader.next();
      if (!item) continue;
      // An empty value is no value (RFC 7240 2).
      if (equals_ignoring_case(item->name, "respond-async")) {
        if (item->value.empty()) prefer.respond_async = true;
      } else if (equals_ignoring_case(item->name, "wait") && !has_wait) {
        prefer.wait = parse_seconds(item->value, prefer_wait_max);
        prefer.wait_without_value = item->value.empty();
        has_wait = prefer.wait || prefer.wait_without_value;
      }
    }
  }
  return prefer;
}

}  // namespace raincheck::jobs
