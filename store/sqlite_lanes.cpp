#include "store/sqlite_lanes.hpp"

namespace raincheck::store {

SqliteLanes::SqliteLanes(SqliteConnection& connection)
    : connection_(connection),
      update_(connection,
              "UPDATE lane SET head = ?, tail = ?, queued = ?, later = ? WHERE lane = ?"),
      first_due_(connection, "SELECT due FROM later WHERE lane = ? ORDER BY due LIMIT 1") {
  SqliteStatement select(connection,
                         "SELECT lane, upstream, priority, head, tail, queued, later FROM lane "
                         "ORDER BY lane");
  SqliteRows rows = select.query();
  while (rows.next()) {
    if (rows.number<std::size_t>(0) != entries_.size() + 1) {
      throw SqliteError(nullptr, SQLITE_CORRUPT);
    }
    Entry& entry = entries_.emplace_back();
    entry.upstream = rows.string(1);
    entry.priority = rows.number<std::uint8_t>(2);
    entry.counters.head = rows.number<std::uint64_t>(3);
    entry.counters.tail = rows.number<std::uint64_t>(4);
    entry.counters.queued = rows.number<std::uint64_t>(5);
    entry.counters.later = rows.number<std::uint64_t>(6);
    refresh_due(static_cast<std::uint32_t>(entries_.size()), entry.counters);
  }
}

Lane SqliteLanes::lane(std::size_t index) const {
  const Entry& entry = entries_[index];
  Lane lane;
  lane.number = static_cast<std::uint32_t>(index + 1);
  lane.upstream = entry.upstream;
  lane.priority = entry.priority;
  lane.queued = entry.counters.waiting();
  lane.next_due = entry.counters.next_due;
  return lane;
}

Lane SqliteLanes::open(const std::string& upstream, std::uint8_t priority) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].upstream == upstream && entries_[i].priority == priority) return lane(i);
  }
  if (entries_.size() == jobs::Place::lane_max) throw std::runtime_error("too many lanes");
  SqliteStatement insert(connection_, "INSERT INTO lane VALUES (?, ?, ?, 1, 1, 0, 0)");
  insert.run(entries_.size() + 1, upstream, priority);
  Entry& entry = entries_.emplace_back();
  entry.upstream = upstream;
  entry.priority = priority;
  return lane(entries_.size() - 1);
}

std::vector<Lane> SqliteLanes::all() const {
  std::vector<Lane> all;
  for (std::size_t i = 0; i < entries_.size(); ++i) all.push_back(lane(i));
  return all;
}

const LaneCounters* SqliteLanes::find(std::uint32_t lane) const {
  return lane > 0 && lane <= entries_.size() ? &entries_[lane - 1].counters : nullptr;
}

LaneCounters& SqliteLanes::touch(std::uint32_t lane) {
  Entry& entry = entries_.at(std::size_t{lane} - 1);
  if (!entry.touched) {
    entry.touched = true;
    touched_.emplace_back(lane, entry.counters);
  }
  return entry.counters;
}

void SqliteLanes::refresh_due(std::uint32_t lane, LaneCounters& counters) {
  SqliteRows rows = first_due_.query(lane);
  counters.next_due = rows.next() ? rows.time(0) : jobs::WallTime();
}

void SqliteLanes::write() {
  for (const auto& [lane, before] : touched_) {
    Entry& entry = entries_[lane - 1];
    entry.touched = false;
    const LaneCounters& now = entry.counters;
    if (now == before) continue;
    update_.run(now.head, now.tail, now.queued, now.later, lane);
  }
}

void SqliteLanes::rollback() {
  for (const auto& [lane, before] : touched_) {
    entries_[lane - 1].counters = before;
    entries_[lane - 1].touched = false;
  }
  touched_.clear();
}

}  // namespace raincheck::store
