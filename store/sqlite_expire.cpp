// The part of SqliteWriter that ends jobs while they wait.
#include <algorithm>

#include "store/sqlite_writer.hpp"

namespace raincheck::store {
namespace {

// Jobs end whose time is up by then.
jobs::WallTime limit_of(const Expire& command) {
  return command.error == jobs::ErrorType::expired ? command.now : jobs::WallTime::max();
}

}  // namespace

void SqliteWriter::apply(Expire& command) {
  command.ended.clear();
  command.done = 0;
  std::uint32_t looked = 0;
  for (Expire::Share& share : command.shares) {
    if (looked >= command.look_max) break;
    LaneCounters& lane = lanes_.touch(share.lane);
    share.more = false;
    share.oldest = {};
    if (lane.later > 0) looked += expire_later(command, share, lane);
    if (lane.queued > 0) looked += expire_head(command, share, lane);
    looked += expire_behind(command, share, lane);
    share.queued = lane.waiting();
    ++command.done;
  }
}

// Each of these gives how many it looked at.

std::uint32_t SqliteWriter::expire_later(Expire& command,
                                         Expire::Share& share,
                                         LaneCounters& lane) {
  const jobs::WallTime limit = limit_of(command);
  due_.clear();
  std::uint32_t looked = 0;
  {
    SqliteRows rows = select_later_times_.query(share.lane, limit, command.look_max);
    for (; rows.next(); ++looked) {
      // An attempt that was given back is none.
      const bool begun = rows.integer(2) != 0;
      const bool over = rows.time(4) <= limit || (!begun && rows.time(3) <= limit);
      if (over) due_.emplace_back(rows.integer(0), rows.integer(1));
    }
  }
  for (const auto& [due, key] : due_) {
    delete_later_.run(share.lane, due, key);
    end_expired(command, key);
  }
  lane.later -= due_.size();
  if (!due_.empty()) lanes_.refresh_due(share.lane, lane);
  share.more = looked == command.look_max && due_.size() == looked;
  return looked;
}

// Up to the first whose time is not over; the queue then begins with it.
std::uint32_t SqliteWriter::expire_head(Expire& command, Expire::Share& share, LaneCounters& lane) {
  const jobs::WallTime limit = limit_of(command);
  const jobs::Place tail{partition_, share.lane, lane.tail};
  jobs::Place head{partition_, share.lane, lane.head};
  overdue_.clear();
  bool reached = false;
  {
    SqliteRows rows = select_times_.query(head.key(), tail.key(), command.look_max);
    while (!reached && rows.next()) {
      head = jobs::Place::from_key(partition_, rows.integer(0));
      reached = rows.time(2) > limit && rows.time(3) > limit;
      if (reached) share.oldest = rows.time(1);
      if (!reached) overdue_.push_back(head.key());
    }
  }
  for (const std::int64_t key : overdue_) end_expired(command, key);
  lane.queued -= overdue_.size();
  const bool limited = overdue_.size() == command.look_max;
  share.more = share.more || limited;
  if (reached) {
    lane.head = head.sequence;
  } else {
    lane.head = limited ? head.sequence + 1 : lane.tail;
  }
  return static_cast<std::uint32_t>(overdue_.size());
}

std::uint32_t SqliteWriter::expire_behind(Expire& command,
                                          Expire::Share& share,
                                          LaneCounters& lane) {
  const jobs::WallTime limit = limit_of(command);
  const jobs::WallTime passed_until = limit - share.patience;
  const bool is_head_next = share.from <= lane.head;
  share.from = std::max(share.from, lane.head);
  // Of the head it is known already.
  if (lane.queued == 0 || (is_head_next && share.oldest > passed_until)) return 0;
  const jobs::Place first{partition_, share.lane, share.from};
  const jobs::Place tail{partition_, share.lane, lane.tail};
  overdue_.clear();
  std::uint32_t looked = 0;
  {
    SqliteRows rows = select_times_.query(first.key(), tail.key(), command.look_max);
    for (; rows.next() && rows.time(1) <= passed_until; ++looked) {
      const std::int64_t key = rows.integer(0);
      share.from = jobs::Place::from_key(partition_, key).sequence + 1;
      const bool over = rows.time(2) <= limit || rows.time(3) <= limit;
      if (over) overdue_.push_back(key);
    }
  }
  for (const std::int64_t key : overdue_) {
    end_expired(command, key);
    leave_queue_.run(key);
  }
  lane.queued -= overdue_.size();
  share.more = share.more || looked == command.look_max;
  return looked;
}

}  // namespace raincheck::store
