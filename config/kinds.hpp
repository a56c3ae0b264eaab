// The kinds of values that a setting can have. Each reads its value from a scalar of the file, and
// tells its shape to the JSON Schema, so that reader and schema follow one description. A kind that
// refuses leaves its target as it was. Pure; used by describe.hpp.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/suggest.hpp"
#include "config/text.hpp"

namespace raincheck::config {

// A scalar as it stands in the file, after interpolation.
struct Scalar {
  std::string_view text;
  bool is_quoted = false;
};

// Why a value is refused; an empty message: it is not.
struct Problem {
  std::string message;
  std::string hint;

  explicit operator bool() const { return !message.empty(); }
};

// What the schema says of a scalar.
struct Shape {
  enum class Type { text, number, flag };

  Type type = Type::text;
  std::vector<std::string> choices;  // the only values; empty: any
  std::string pattern;               // ECMA 262; empty: any
  std::optional<std::uint64_t> min;
  std::optional<std::uint64_t> max;
};

struct Flag {
  Problem read(const Scalar& scalar, bool& out) const {
    if (!scalar.is_quoted && (scalar.text == "true" || scalar.text == "false")) {
      out = scalar.text == "true";
      return {};
    }
    return {"must be true or false, without quotes, not '" + std::string(scalar.text) + "'", ""};
  }
  Shape shape() const { return {Shape::Type::flag, {}, "", {}, {}}; }
  std::string show(bool value) const { return value ? "true" : "false"; }
};

struct Count {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint32_t>::max();

  template <class T>
  Problem read(const Scalar& scalar, T& out) const {
    const auto number = parse_number(scalar.text);
    if (!number) return {number.why(), ""};
    if (*number < min || *number > max) return {limits(scalar.text), ""};
    out = static_cast<T>(*number);
    return {};
  }
  Shape shape() const { return {Shape::Type::number, {}, "", min, max}; }
  template <class T>
  std::string show(T value) const {
    return std::to_string(value);
  }
  std::string limits(std::string_view text) const;
};

// One of a few numbers.
struct Choice {
  std::vector<int> numbers;

  Problem read(const Scalar& scalar, int& out) const;
  Shape shape() const;
  std::string show(int value) const { return std::to_string(value); }
};

enum class Zero { refused, allowed };

struct Duration {
  Zero zero = Zero::refused;

  Problem read(const Scalar& scalar, milliseconds& out) const;
  Shape shape() const;
  std::string show(milliseconds value) const { return format_duration(value); }
};

struct Size {
  std::uint64_t min = 1;
  std::uint64_t max = std::uint64_t{1} << 50;

  Problem read(const Scalar& scalar, std::uint64_t& out) const;
  Shape shape() const;
  std::string show(std::uint64_t value) const { return format_size(value); }
};

// Bytes in a second: "1KiB/s".
struct Rate {
  Problem read(const Scalar& scalar, std::uint64_t& out) const;
  Shape shape() const;
  std::string show(std::uint64_t value) const { return format_size(value) + "/s"; }
};

Problem not_a_word(std::string_view text,
                   const std::vector<std::string>& words,
                   const std::vector<std::string>& unbuilt);

// A word for each value of an enum. Unbuilt words are known but not available in this version.
template <class E>
struct Words {
  struct Word {
    E value;
    std::string text;
  };
  std::vector<Word> words;
  std::vector<std::string> unbuilt;

  Problem read(const Scalar& scalar, E& out) const {
    for (const Word& word : words) {
      if (word.text != scalar.text) continue;
      out = word.value;
      return {};
    }
    return not_a_word(scalar.text, texts(), unbuilt);
  }
  Shape shape() const { return {Shape::Type::text, texts(), "", {}, {}}; }
  std::string show(E value) const {
    for (const Word& word : words) {
      if (word.value == value) return word.text;
    }
    return "";
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const Word& word : words) all.push_back(word.text);
    return all;
  }
};

// A text with a rule of its own. The rule returns what is wrong, or nothing.
struct Text {
  std::string (*rule)(std::string_view text);
  std::string pattern = {};

  Problem read(const Scalar& scalar, std::string& out) const {
    std::string why = rule(scalar.text);
    if (why.empty()) out = scalar.text;
    return {std::move(why), ""};
  }
  Shape shape() const { return {Shape::Type::text, {}, pattern, {}, {}}; }
  std::string show(const std::string& value) const { return value; }
};

// What the keys of a map of the operator's own words must be.
struct NameRule {
  enum class Case { matters, ignored };

  std::string (*rule)(std::string_view name);
  std::string pattern = {};
  Case letters = Case::matters;
};

// A text with ${...} of a request. That the names exist is for routes::Template to say, which knows
// them.
struct RequestText {
  static constexpr bool is_template = true;
  bool may_have_lines = false;

  Shape shape() const { return {Shape::Type::text, {}, "", {}, {}}; }
  std::string show(const TemplateText& value) const { return value.written; }
};

// A setting of which only the first word is built; it changes nothing.
struct Unchanged {};
inline Unchanged unchanged;

struct Only {
  std::vector<std::string> words;

  Problem read(const Scalar& scalar, Unchanged&) const {
    if (scalar.text == words.front()) return {};
    return not_a_word(scalar.text, {words.front()}, {words.begin() + 1, words.end()});
  }
  Shape shape() const { return {Shape::Type::text, {words.front()}, "", {}, {}}; }
  std::string show(Unchanged) const { return words.front(); }
};

// A dialect sets the wire form; the settings of `async` that stand beside it change single parts.
struct Dialect {
  Problem read(const Scalar& scalar, Async& out) const;
  Shape shape() const { return {Shape::Type::text, {"native", "location"}, "", {}, {}}; }
  std::string show(const Async&) const { return "native"; }
};

// "required", or the pattern of a header's or parameter's value.
struct ValueRuleText {
  Problem read(const Scalar& scalar, ValueRule& out) const;
  Shape shape() const { return {Shape::Type::text, {}, "", {}, {}}; }
};

// "POST /reports/*" or "/reports/*".
struct MatchText {
  Problem read(const Scalar& scalar, Match& out) const;
  Shape shape() const;
};

// The URL of an upstream's only server.
struct SingleServer {
  Problem read(const Scalar& scalar, std::vector<Server>& out) const;
  Shape shape() const;
};

// Lists. `append` adds what one scalar says; a list that is read starts from `clear`.

template <class K>
struct Many {
  K kind;
  bool may_be_empty = true;
  static constexpr bool may_be_scalar = false;

  template <class T>
  void clear(std::vector<T>& out) const {
    out.clear();
  }
  template <class T>
  Problem append(const Scalar& scalar, std::vector<T>& out) const {
    T value{};
    Problem problem = kind.read(scalar, value);
    if (!problem) out.push_back(std::move(value));
    return problem;
  }
  std::vector<Shape> shapes() const { return {kind.shape()}; }
  template <class T>
  std::vector<std::string> show(const std::vector<T>& values) const {
    std::vector<std::string> all;
    all.reserve(values.size());
    for (const T& value : values) all.push_back(kind.show(value));
    return all;
  }
};

// 200-399, or [200-299, 304].
struct Statuses {
  static constexpr bool may_be_empty = false;
  static constexpr bool may_be_scalar = true;

  void clear(std::vector<StatusRange>& out) const { out.clear(); }
  Problem append(const Scalar& scalar, std::vector<StatusRange>& out) const;
  std::vector<Shape> shapes() const;
  std::vector<std::string> show(const std::vector<StatusRange>& ranges) const;
};

// [connect_failure, timeout, 502, 503]
struct RetryCauses {
  static constexpr bool may_be_empty = true;
  static constexpr bool may_be_scalar = false;

  void clear(Retry& out) const;
  Problem append(const Scalar& scalar, Retry& out) const;
  std::vector<Shape> shapes() const;
  std::vector<std::string> show(const Retry& retry) const;
};

}  // namespace raincheck::config
