#include "store/sqlite_lanes.hpp"

#include <algorithm>

namespace raincheck::store {

SqliteLanes::SqliteLanes(SqliteConnection& connection)
    : connection_(connection),
      update_(connection,
              "UPDATE lane SET head = ?, tail = ?, queued = ?, later = ? WHERE lane = ?"),
      first_due_(connection, "SELECT due FROM later WHERE lane = ? ORDER BY due LIMIT 1") {
  SqliteStatement select(connection,
                         "SELECT lane, upstream, route, priority, head, tail, queued, later "
                         "FROM lane ORDER BY lane");
  SqliteRows rows = select.query();
  while (rows.next()) {
    if (rows.number<std::size_t>(0) != entries_.size() + 1) {
      throw SqliteError(nullptr, SQLITE_CORRUPT);
    }
    add(LaneName{rows.string(1), rows.string(2), rows.number<std::uint8_t>(3)});
    LaneCounters& counters = entries_.back().counters;
    counters.head = rows.number<std::uint64_t>(4);
    counters.tail = rows.number<std::uint64_t>(5);
    counters.queued = rows.number<std::uint64_t>(6);
    counters.later = rows.number<std::uint64_t>(7);
    if (counters.later > 0) refresh_due(static_cast<std::uint32_t>(entries_.size()), counters);
  }
}

void SqliteLanes::add(LaneName name) {
  Entry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  numbers_.emplace(entry.name, static_cast<std::uint32_t>(entries_.size()));
}

std::vector<std::uint32_t> SqliteLanes::open(std::span<const LaneName> names) {
  std::vector<LaneName> missing;
  for (const LaneName& name : names) {
    if (!numbers_.contains(name)) missing.push_back(name);
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (!missing.empty()) insert(missing);
  for (LaneName& name : missing) add(std::move(name));
  std::vector<std::uint32_t> numbers;
  for (const LaneName& name : names) numbers.push_back(numbers_.at(name));
  return numbers;
}

void SqliteLanes::insert(std::span<const LaneName> names) {
  if (names.size() > jobs::Place::lane_max - entries_.size()) {
    throw std::runtime_error("too many lanes");
  }
  connection_.execute("SAVEPOINT lanes");
  try {
    SqliteStatement insert(connection_, "INSERT INTO lane VALUES (?, ?, ?, ?, 1, 1, 0, 0)");
    std::size_t number = entries_.size();
    for (const LaneName& name : names)
      insert.run(++number, name.upstream, name.route, name.priority);
    connection_.execute("RELEASE lanes");
  } catch (...) {
    sqlite3_exec(connection_.handle(), "ROLLBACK TO lanes; RELEASE lanes", nullptr, nullptr,
                 nullptr);
    throw;
  }
}

std::vector<Lane> SqliteLanes::all() const {
  std::vector<Lane> all;
  for (const Entry& entry : entries_) {
    Lane& lane = all.emplace_back();
    lane.number = static_cast<std::uint32_t>(all.size());
    lane.name = entry.name;
    lane.queued = entry.counters.waiting();
    lane.next_due = entry.counters.next_due;
  }
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
