#include "routes/edges.hpp"

#include <functional>
#include <utility>

namespace raincheck::routes {
namespace {

constexpr std::size_t slots_min = 16;

std::uint64_t hash_of(std::uint32_t from, std::string_view segment) {
  constexpr std::uint64_t odd = 0x9E3779B97F4A7C15;
  const std::uint64_t hash = std::hash<std::string_view>()(segment) ^ (from * odd);
  return hash ^ (hash >> 32);
}

}  // namespace

// The slot that holds the step, or the free one where it would be.
std::size_t Edges::place(std::uint64_t hash, std::uint32_t from, std::string_view segment) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  for (; slots_[i].to != none; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.hash == hash && slot.from == from && slot.segment == segment) break;
  }
  return i;
}

std::uint32_t Edges::find(std::uint32_t from, std::string_view segment) const {
  if (slots_.empty()) return none;
  return slots_[place(hash_of(from, segment), from, segment)].to;
}

void Edges::add(std::uint32_t from, std::string_view segment, std::uint32_t to) {
  if (2 * (count_ + 1) > slots_.size()) {
    std::vector<Slot> old(slots_.empty() ? slots_min : 2 * slots_.size());
    std::swap(old, slots_);
    for (Slot& slot : old) {
      if (slot.to == none) continue;
      slots_[place(slot.hash, slot.from, slot.segment)] = std::move(slot);
    }
  }
  const std::uint64_t hash = hash_of(from, segment);
  slots_[place(hash, from, segment)] = {hash, from, to, std::string(segment)};
  ++count_;
}

}  // namespace raincheck::routes
