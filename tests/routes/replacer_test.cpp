#include "routes/replacer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace raincheck::routes;

namespace {

struct Pair {
  std::string from;
  std::string to;
};

// The rule, written for the whole text at once: leftmost, and there the longest.
std::string reference(const std::vector<Pair>& pairs, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const Pair* best = nullptr;
    for (const Pair& pair : pairs) {
      const bool is_here = text.substr(i, pair.from.size()) == pair.from;
      if (is_here && (best == nullptr || pair.from.size() > best->from.size())) best = &pair;
    }
    out += best != nullptr ? best->to : std::string(text.substr(i, 1));
    i += best != nullptr ? best->from.size() : 1;
  }
  return out;
}

struct Rules {
  explicit Rules(const std::vector<Pair>& pairs) : needles(froms(pairs)), texts(tos(pairs)) {}

  static std::vector<std::string> froms(const std::vector<Pair>& pairs) {
    std::vector<std::string> all;
    for (const Pair& pair : pairs) all.push_back(pair.from);
    return all;
  }
  static std::vector<std::string> tos(const std::vector<Pair>& pairs) {
    std::vector<std::string> all;
    for (const Pair& pair : pairs) all.push_back(pair.to);
    return all;
  }

  std::string whole(std::string_view text) const { return cut(text, {}); }
  // The text cut at these places.
  std::string cut(std::string_view text, const std::vector<std::size_t>& places) const {
    Replacer replacer(needles, texts);
    std::string out;
    std::size_t from = 0;
    for (const std::size_t place : places) {
      replacer.write(text.substr(from, place - from), out);
      from = place;
    }
    replacer.write(text.substr(from), out);
    replacer.finish(out);
    return out;
  }

  Needles needles;
  std::vector<std::string> texts;
};

}  // namespace

TEST_CASE("texts are replaced, the leftmost first, of those at one place the longest") {
  const struct {
    std::vector<Pair> pairs;
    std::string_view text;
    std::string_view expected;
  } cases[] = {
      {{{"a", "b"}}, "", ""},
      {{{"a", "b"}}, "xaax", "xbbx"},
      {{{"a", ""}}, "xaax", "xx"},
      {{{"http://old", "https://new"}}, "<a href=http://old/x>", "<a href=https://new/x>"},
      {{{"aa", "b"}}, "aaaaa", "bba"},
      {{{"abc", "1"}, {"ab", "2"}, {"a", "3"}}, "abcabaab", "1232"},
      {{{"a", "3"}, {"ab", "2"}, {"abc", "1"}}, "abcabaab", "1232"},
      {{{"abcd", "1"}, {"bc", "2"}}, "abcx abcd", "a2x 1"},
      {{{"aab", "1"}, {"ab", "2"}}, "aaab", "a1"},
      {{{"ab", "ba"}, {"ba", "ab"}}, "abba", "baab"},  // what was put in is not looked at again
      {{{std::string("\0x", 2), "0"}}, std::string_view("a\0xb", 4), "a0b"},
      {{{"\xC3\xA9", "e"}}, "caf\xC3\xA9", "cafe"},
  };
  for (const auto& row : cases) {
    const auto& [pairs, text, expected] = row;
    CAPTURE(row.text);
    const Rules rules(pairs);
    CHECK(rules.whole(text) == expected);
    CHECK(reference(pairs, text) == expected);
    for (std::size_t place = 0; place <= text.size(); ++place) {
      CHECK(rules.cut(text, {place}) == expected);
    }
  }
}

TEST_CASE("what comes out does not depend on how the text is cut") {
  std::mt19937 random(20240611);
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  const auto word = [&](std::size_t letters, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + below(letters));
    return text;
  };
  for (int round = 0; round < 3'000; ++round) {
    const std::size_t letters = 1 + below(3);  // few, so that needles overlap
    std::vector<Pair> pairs;
    for (std::size_t i = 1 + below(5); i > 0; --i) {
      const std::string from = word(letters, 1 + below(7));
      const bool is_new = std::none_of(pairs.begin(), pairs.end(),
                                       [&](const Pair& pair) { return pair.from == from; });
      if (is_new) pairs.push_back({from, word(26, below(4))});
    }
    const std::string text = word(letters + 1, below(60));
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < text.size(); place += 1 + below(6)) places.push_back(place);
    CAPTURE(text);
    const std::string expected = reference(pairs, text);
    REQUIRE(Rules(pairs).whole(text) == expected);
    REQUIRE(Rules(pairs).cut(text, places) == expected);
  }
}

TEST_CASE("no more is held back than what may be the beginning of a needle") {
  const Needles needles({"needle", "eel"});
  Replacer replacer(needles, {"N", "E"});
  std::string out;
  replacer.write("a stream of events", out);
  CHECK(out == "a stream of events");
  replacer.write(" nee", out);
  CHECK(out == "a stream of events ");
  replacer.write("x", out);
  CHECK(out == "a stream of events neex");
  replacer.write("needl", out);
  replacer.finish(out);
  CHECK(out == "a stream of events neexneedl");
  CHECK(replacer.count() == 0);
}
