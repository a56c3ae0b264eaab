#include "jobs/schedule.hpp"

#include <algorithm>
#include <array>

namespace raincheck::jobs {
namespace {

// What a turn costs a priority: the inverse of its weight of 16, 4 or 1.
constexpr std::array<std::int64_t, 3> costs{1, 4, 16};

struct PriorityState {
  std::int64_t credit = 0;
  std::optional<std::size_t> lane;  // whose turn it is, of those with a job due
};

std::size_t priority_of(const LaneState& lane) {
  return static_cast<std::size_t>(std::clamp(lane.priority, 0, static_cast<int>(costs.size()) - 1));
}

}  // namespace

// The priority with most credit is next and pays for its turn. Credit is then raised until the best
// of those that have work stands at 0, and nobody may have more: so a priority that had no work
// comes back level with the others, neither with saved turns nor with old debts.
std::optional<std::size_t> next_lane(std::span<LaneState> lanes, WallTime now) {
  std::array<PriorityState, costs.size()> priorities;
  std::uint64_t last_turn = 0;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const LaneState& lane = lanes[i];
    PriorityState& priority = priorities[priority_of(lane)];
    priority.credit = std::min(priority.credit, lane.credit);
    last_turn = std::max(last_turn, lane.turn);
    if (lane.queued == 0 || lane.next_due > now) continue;
    if (!priority.lane || lane.turn < lanes[*priority.lane].turn) priority.lane = i;
  }

  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < priorities.size(); ++i) {
    if (!priorities[i].lane) continue;
    if (!best || priorities[i].credit > priorities[*best].credit) best = i;
  }
  if (!best) return std::nullopt;

  const std::int64_t raise = -priorities[*best].credit;
  for (PriorityState& priority : priorities) {
    priority.credit = std::min<std::int64_t>(priority.credit + raise, 0);
  }
  priorities[*best].credit -= costs[*best];
  for (LaneState& lane : lanes) lane.credit = priorities[priority_of(lane)].credit;
  const std::size_t chosen = *priorities[*best].lane;
  lanes[chosen].turn = last_turn + 1;
  return chosen;
}

}  // namespace raincheck::jobs
