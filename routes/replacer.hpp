// Text substitution in a body that streams by: literal needles, the leftmost first, of those that
// begin at one place the longest. Works on bytes. Memory is bounded by the longest needle, and what
// comes out does not depend on how the body is cut. Only what may be the beginning of a needle is
// held back, so that a slow stream flows on. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::routes {

// The needles of one route, ready to be looked for. Immutable; any thread.
class Needles {
 public:
  // None is empty, no two are the same. Without needles nothing is ever found. Their number and
  // length are limited by config::replacements_max and replacement_bytes_max, which bounds what a
  // hostile body can cost: for each of its bytes, a comparison of all needles.
  explicit Needles(std::vector<std::string> needles = {});

  struct Found {
    std::size_t offset = 0;  // of the match, else of what is still open
    std::size_t length = 0;  // of the needle; 0: there is no match
    std::size_t needle = 0;  // its index
  };
  // The first match in `text`. Without one, everything before `offset` is free of matches and
  // what follows it may be the beginning of one, unless the text ends here (`is_last`).
  Found find(std::string_view text, bool is_last) const;

  std::size_t longest() const { return longest_; }
  std::size_t size() const { return needles_.size(); }

 private:
  struct Needle {
    std::string text;
    std::size_t index;
  };

  Found at(std::string_view text, std::size_t offset, bool is_last) const;

  std::vector<Needle> needles_;  // the longest first
  std::size_t shortest_ = 0;
  std::size_t longest_ = 0;
  // How far the window of `shortest_` bytes may move on, by its last byte (Horspool).
  std::array<std::uint16_t, 256> shift_{};
  std::array<bool, 256> is_first_{};  // some needle begins with this byte
};

// One body on its way. `needles` must outlive it; the texts are those put in, by index of needle.
class Replacer {
 public:
  Replacer(const Needles& needles, std::vector<std::string> texts)
      : needles_(needles), texts_(std::move(texts)) {}

  // Appends to `out` whatever is certain by now.
  void write(std::string_view in, std::string& out);
  // The body ends here.
  void finish(std::string& out);

  std::uint64_t count() const { return count_; }  // replacements made

 private:
  std::size_t scan(std::string_view in, bool is_last, std::string& out);

  const Needles& needles_;
  const std::vector<std::string> texts_;
  std::string held_;
  std::uint64_t count_ = 0;
};

}  // namespace raincheck::routes
