// The part of SqliteWriter that finds jobs whose time is over while they wait.
#include <algorithm>

#include "store/sqlite_writer.hpp"

namespace raincheck::store {

void SqliteWriter::apply(Expire& command) {
  LaneCounters& lane = lanes_.touch(command.lane);
  command.ended.clear();
  command.routes.clear();
  command.more = false;
  command.oldest = {};
  if (lane.later > 0) expire_later(command, lane);
  if (lane.queued > 0) expire_head(command, lane);
  for (Expire::Cursor& cursor : command.cursors) expire_behind(command, cursor, lane);
}

void SqliteWriter::expire_later(Expire& command, LaneCounters& lane) {
  due_.clear();
  std::uint32_t looked = 0;
  {
    SqliteRows rows = select_later_times_.query(command.lane, command.now, command.look_max);
    for (; rows.next(); ++looked) {
      // An attempt that was given back is none.
      const bool begun = rows.integer(2) != 0;
      const bool over = rows.time(4) <= command.now || (!begun && rows.time(3) <= command.now);
      if (over) due_.emplace_back(rows.integer(0), rows.integer(1));
    }
  }
  for (const auto& [due, key] : due_) {
    delete_later_.run(command.lane, due, key);
    end_expired(command, key);
  }
  lane.later -= due_.size();
  if (!due_.empty()) lanes_.refresh_due(command.lane, lane);
  command.more = looked == command.look_max && due_.size() == looked;
}

// Up to the first whose time is not over; the queue then begins with it.
void SqliteWriter::expire_head(Expire& command, LaneCounters& lane) {
  const jobs::Place tail{partition_, command.lane, lane.tail};
  jobs::Place head{partition_, command.lane, lane.head};
  overdue_.clear();
  bool reached = false;
  {
    SqliteRows rows = select_times_.query(head.key(), tail.key(), command.look_max);
    while (!reached && rows.next()) {
      head = jobs::Place::from_key(partition_, rows.integer(0));
      reached = rows.time(2) > command.now && rows.time(3) > command.now;
      if (reached) command.oldest = rows.time(1);
      if (!reached) overdue_.push_back(head.key());
    }
  }
  for (const std::int64_t key : overdue_) end_expired(command, key);
  lane.queued -= overdue_.size();
  const bool limited = overdue_.size() == command.look_max;
  command.more = command.more || limited;
  if (reached) {
    lane.head = head.sequence;
  } else {
    lane.head = limited ? head.sequence + 1 : lane.tail;
  }
}

void SqliteWriter::expire_behind(Expire& command, Expire::Cursor& cursor, LaneCounters& lane) {
  cursor.from = std::max(cursor.from, lane.head);
  if (lane.queued == 0) return;
  const jobs::Place first{partition_, command.lane, cursor.from};
  const jobs::Place tail{partition_, command.lane, lane.tail};
  overdue_.clear();
  std::uint32_t looked = 0;
  {
    SqliteRows rows = select_times_.query(first.key(), tail.key(), command.look_max);
    for (; rows.next() && rows.time(1) <= command.now - cursor.patience; ++looked) {
      const std::int64_t key = rows.integer(0);
      cursor.from = jobs::Place::from_key(partition_, key).sequence + 1;
      const bool over = rows.time(2) <= command.now || rows.time(3) <= command.now;
      if (over) overdue_.push_back(key);
    }
  }
  for (const std::int64_t key : overdue_) {
    end_expired(command, key);
    leave_queue_.run(key);
  }
  lane.queued -= overdue_.size();
  command.more = command.more || looked == command.look_max;
}

}  // namespace raincheck::store
