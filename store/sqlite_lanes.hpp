// The lanes and their counters, kept in memory by the writer and written back once per batch. Owned
// by SqliteWriter and used on its thread. It never looks at jobs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "store/backend.hpp"
#include "store/sqlite.hpp"

namespace raincheck::store {

struct LaneCounters {
  std::uint64_t head = 1;     // jobs of [head, tail) are queued in this order
  std::uint64_t tail = 1;     // next sequence to give out
  std::uint64_t queued = 0;   // of [head, tail), without the canceled ones
  std::uint64_t later = 0;    // waiting for a retry
  jobs::WallTime next_due{};  // of those, the earliest; epoch: none

  bool operator==(const LaneCounters&) const = default;
  std::uint64_t waiting() const { return queued + later; }
};

class SqliteLanes {
 public:
  // Reads all lanes.
  explicit SqliteLanes(SqliteConnection& connection);

  // Within a transaction, or as one.
  std::vector<std::uint32_t> open(std::span<const LaneName> names);
  std::vector<Lane> all() const;

  // Null: no such lane.
  const LaneCounters* find(std::uint32_t lane) const;
  // For a change: write() rewrites the row if there was one, rollback() brings the old counters
  // back. The lane must exist.
  LaneCounters& touch(std::uint32_t lane);
  // Looks up next_due again.
  void refresh_due(std::uint32_t lane, LaneCounters& counters);

  void write();
  void commit() { touched_.clear(); }
  void rollback();

 private:
  struct Entry {
    LaneName name;
    LaneCounters counters;
    bool touched = false;
  };
  void insert(std::span<const LaneName> names);
  void add(LaneName name);

  SqliteConnection& connection_;
  SqliteStatement update_;
  SqliteStatement first_due_;
  std::vector<Entry> entries_;  // lane n is at n - 1: lanes are never removed
  std::map<LaneName, std::uint32_t> numbers_;
  std::vector<std::pair<std::uint32_t, LaneCounters>> touched_;
};

}  // namespace raincheck::store
