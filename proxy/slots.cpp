#include "proxy/slots.hpp"

#include <algorithm>
#include <limits>

namespace raincheck::proxy {

void Slots::set_max(std::uint32_t max) {
  max_ = max;
  wake();
}

bool Slots::try_take() {
  return take_up_to(1) == 1;
}

std::uint32_t Slots::take_up_to(std::uint32_t count) {
  std::uint32_t taken = taken_.load();
  while (true) {
    const std::uint32_t most = max();
    const std::uint32_t room = std::min(count, most - std::min(most, taken));
    if (room == 0) return 0;
    if (taken_.compare_exchange_weak(taken, taken + room)) return room;
  }
}

void Slots::give(std::uint32_t count) {
  if (count == 0) return;
  taken_.fetch_sub(count);
  wake();
}

void Slots::wake() {
  if (wanted_.load() == 0) return;
  const std::uint64_t wanted = wanted_.exchange(0);
  for (std::size_t shard = 0; shard < wake_.size(); ++shard) {
    if (wanted >> shard & 1) wake_[shard]();
  }
}

std::uint32_t slots_of_server(std::uint32_t max_concurrency) {
  return max_concurrency == 0 ? std::numeric_limits<std::uint32_t>::max() : max_concurrency;
}

}  // namespace raincheck::proxy
