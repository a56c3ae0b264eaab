// Which lane of an upstream is next: priorities share the turns 16 : 4 : 1, and the lanes of one
// priority take turns. Owned by a dispatcher, used on its shard. It counts jobs started, knows
// nothing of how long they run, and never lets a lane with work due wait for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "jobs/job.hpp"

namespace raincheck::jobs {

struct LaneState {
  std::uint64_t queued = 0;  // jobs waiting; 0: the lane has no turn
  WallTime next_due{};       // when the first of them may start; epoch: at once
  int priority = 1;          // 0 high, 1 normal, 2 low

  // The memory of next_lane(), which starts as it is here.
  std::int64_t credit = 0;  // of the lane's priority, in all its lanes; never above 0
  std::uint64_t turn = 0;   // when it last had one
};

// The lane that starts a job at `now`, nothing when none has one due. The turn is taken: the lanes'
// credit and turn change. O(lanes).
std::optional<std::size_t> next_lane(std::span<LaneState> lanes, WallTime now);

}  // namespace raincheck::jobs
