// Which lane of an upstream is next: priorities share the turns 16 : 4 : 1, and the lanes of one
// priority take turns, first the one that had none for longest. Owned by a dispatcher, used on its
// shard. It counts the jobs that wait, knows nothing of how long they run, and never lets a lane
// with work due wait for ever. A turn, and every change, costs O(log lanes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "jobs/job.hpp"

namespace raincheck::jobs {

class Schedule {
 public:
  // What waits in a lane.
  struct Queue {
    std::uint64_t count = 0;
    WallTime due{};  // when the first may start; epoch: at once
  };

  // One lane more, with nothing in it: the first is 0, the next 1. `priority`: 0 high, 1 normal,
  // 2 low.
  std::size_t add(int priority);
  const Queue& of(std::size_t lane) const { return lanes_[lane].queue; }
  void set(std::size_t lane, Queue queue);
  // A lane that is stopped has no turns, whatever waits in it.
  void stop(std::size_t lane, bool stopped);

  // The lane that starts jobs at `now`, `most` at most, nothing when none has one due. The turn is
  // taken, and paid for each job; so many fewer wait.
  struct Turn {
    std::size_t lane = 0;
    std::uint32_t count = 0;
  };
  std::optional<Turn> next(WallTime now, std::uint32_t most = 1);
  // How many lanes next() would give one of.
  std::size_t due_lanes(WallTime now);
  // When the next lane comes due, later than `now`.
  std::optional<WallTime> next_due(WallTime now) const;
  // In all lanes, stopped ones too.
  std::uint64_t count() const { return count_; }
  // In those that are not stopped.
  std::uint64_t startable() const { return startable_; }

 private:
  struct Lane {
    Queue queue;
    std::size_t priority = 0;
    std::uint64_t turn = 0;  // when it last had one
    bool stopped = false;
  };
  struct Priority {
    std::int64_t credit = 0;                                // never above 0
    std::set<std::pair<std::uint64_t, std::size_t>> ready;  // lanes with work due, by last turn
  };

  void enter(std::size_t lane);
  void leave(std::size_t lane);

  std::vector<Lane> lanes_;
  std::array<Priority, 3> priorities_;
  std::set<std::pair<WallTime, std::size_t>> later_;  // lanes with work, by when it is due
  std::uint64_t turns_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t startable_ = 0;
};

}  // namespace raincheck::jobs
