#include "jobs/schedule.hpp"

#include <algorithm>

namespace raincheck::jobs {
namespace {

// What a job costs a priority: the inverse of its weight of 16, 4 or 1.
constexpr std::array<std::int64_t, 3> costs{1, 4, 16};

}  // namespace

std::size_t Schedule::add(int priority) {
  Lane& lane = lanes_.emplace_back();
  lane.priority =
      static_cast<std::size_t>(std::clamp(priority, 0, static_cast<int>(costs.size()) - 1));
  return lanes_.size() - 1;
}

void Schedule::set(std::size_t lane, Queue queue) {
  leave(lane);
  count_ += queue.count - lanes_[lane].queue.count;
  lanes_[lane].queue = queue;
  enter(lane);
}

void Schedule::stop(std::size_t lane, bool stopped) {
  leave(lane);
  lanes_[lane].stopped = stopped;
  enter(lane);
}

void Schedule::enter(std::size_t lane) {
  const Lane& each = lanes_[lane];
  if (each.stopped || each.queue.count == 0) return;
  startable_ += each.queue.count;
  if (each.queue.due == WallTime()) {
    priorities_[each.priority].ready.emplace(each.turn, lane);
  } else {
    later_.emplace(each.queue.due, lane);
  }
}

// Wherever it is.
void Schedule::leave(std::size_t lane) {
  const Lane& each = lanes_[lane];
  if (!each.stopped) startable_ -= each.queue.count;
  priorities_[each.priority].ready.erase({each.turn, lane});
  later_.erase({each.queue.due, lane});
}

std::size_t Schedule::due_lanes(WallTime now) {
  while (!later_.empty() && later_.begin()->first <= now) {
    const std::size_t lane = later_.begin()->second;
    later_.erase(later_.begin());
    priorities_[lanes_[lane].priority].ready.emplace(lanes_[lane].turn, lane);
  }
  std::size_t lanes = 0;
  for (const Priority& each : priorities_) lanes += each.ready.size();
  return lanes;
}

// The priority with most credit is next and pays for its turn. Credit is then raised until the best
// of those that have work stands at 0, and nobody may have more: so a priority that had no work
// comes back level with the others, neither with saved turns nor with old debts.
std::optional<Schedule::Turn> Schedule::next(WallTime now, std::uint32_t most) {
  if (due_lanes(now) == 0) return std::nullopt;
  Priority* best = nullptr;
  for (Priority& each : priorities_) {
    if (!each.ready.empty() && (!best || each.credit > best->credit)) best = &each;
  }
  const std::int64_t raise = -best->credit;
  for (Priority& each : priorities_) each.credit = std::min<std::int64_t>(each.credit + raise, 0);
  const std::size_t lane = best->ready.begin()->second;
  const auto count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(most, lanes_[lane].queue.count));
  best->credit -= costs[lanes_[lane].priority] * count;

  leave(lane);
  lanes_[lane].turn = ++turns_;
  lanes_[lane].queue.count -= count;
  count_ -= count;
  enter(lane);
  return Turn{lane, count};
}

std::optional<WallTime> Schedule::next_due(WallTime now) const {
  const auto next = later_.upper_bound({now, lanes_.size()});
  if (next == later_.end()) return std::nullopt;
  return next->first;
}

}  // namespace raincheck::jobs
