// The steps of a tree of path segments: from a node along a segment to a node. One flat table for
// the whole tree, so that a step costs two reads of memory however many there are. Filled when a
// RouteTable is built, and only read then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::routes {

class Edges {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  // The node that a segment leads to, or none.
  std::uint32_t find(std::uint32_t from, std::string_view segment) const;
  // `from` must have no such segment yet.
  void add(std::uint32_t from, std::string_view segment, std::uint32_t to);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t from = 0;
    std::uint32_t to = none;  // none: the slot is free
    std::string segment;
  };
  std::size_t place(std::uint64_t hash, std::uint32_t from, std::string_view segment) const;

  std::vector<Slot> slots_;  // a power of two of them, half of which are free at least
  std::size_t count_ = 0;
};

}  // namespace raincheck::routes
