// What each command does to the tables, inside a transaction that SqliteBackend begins and ends.
// Owned by SqliteBackend; writer thread. It throws SqliteError and never commits.
#pragma once

#include <cstdint>
#include <vector>

#include "store/backend.hpp"
#include "store/sqlite_lanes.hpp"
#include "store/sqlite_lookup.hpp"

namespace raincheck::store {

class SqliteWriter {
 public:
  SqliteWriter(SqliteConnection& connection, std::uint8_t partition, std::uint64_t epoch);

  SqliteLanes& lanes() { return lanes_; }

  // `room`: bytes that new jobs of this batch may take.
  void begin(std::uint64_t room);
  void apply(Insert& command);
  void apply(Claim& command);
  void apply(Expire& command);
  void apply(Finish& command);
  void apply(Requeue& command);
  void apply(Follow& command);
  void apply(Cancel& command);
  void apply(Erase& command);
  void apply(Prune& command);
  // Writes what is written once per batch; to be called last.
  void end();
  void commit();
  void rollback();

  // Spool files that the batch names, and those that no row names after it.
  const std::vector<std::uint64_t>& named() const { return named_; }
  const std::vector<std::uint64_t>& erased() const { return erased_; }

 private:
  struct Ending;
  struct FinalJob {
    std::int64_t key = 0;
    jobs::WallTime expires{};
    jobs::State state = jobs::State::failed;
    std::string idem;
    std::uint64_t spool = 0;
    std::string labels;
  };

  bool known(Insert& command);
  void name_spool(std::uint64_t number, std::int64_t key);
  void erase_spool(std::uint64_t number);
  std::uint32_t claim_later(Claim& command, const Claim::Share& share, LaneCounters& lane);
  void claim_queued(Claim& command,
                    const Claim::Share& share,
                    std::uint32_t wanted,
                    LaneCounters& lane);
  std::uint32_t expire_later(Expire& command, Expire::Share& share, LaneCounters& lane);
  std::uint32_t expire_head(Expire& command, Expire::Share& share, LaneCounters& lane);
  std::uint32_t expire_behind(Expire& command, Expire::Share& share, LaneCounters& lane);
  void end_expired(Expire& command, std::int64_t key);
  jobs::Job read_request(const SqliteRows& rows);
  bool holds(const Fence& fence, std::uint32_t attempt, std::int64_t epoch) const;
  // Returns when the job expires.
  jobs::WallTime make_final(SqliteRows& job, const Ending& ending);
  void overwrite(const Finish& command);
  void erase_request(std::int64_t key, std::uint64_t spool);
  void erase_job(std::int64_t key);
  static FinalJob read_final(const SqliteRows& rows);
  void erase_final(const FinalJob& job);
  void erase_kept_request(std::int64_t key);
  void leave_queue(const jobs::Job& job);
  Presence resolve(const jobs::JobId& id, jobs::Job& job);

  std::uint8_t partition_;
  std::uint64_t epoch_;
  std::uint64_t room_ = 0;
  std::vector<std::uint64_t> named_;
  std::vector<std::uint64_t> erased_;
  std::vector<std::pair<std::int64_t, std::int64_t>> due_;  // scratch: due, key
  std::vector<std::int64_t> overdue_;                       // scratch: keys
  struct Expiry {
    jobs::WallTime at{};
    FinalJob job;  // nothing but its key if it was erased
  };
  std::vector<Expiry> expired_;  // scratch

  SqliteLanes lanes_;
  SqliteLookup lookup_;
  SqliteStatement begin_;
  SqliteStatement insert_request_;
  SqliteStatement select_requests_;
  SqliteStatement select_times_;
  SqliteStatement select_later_times_;
  SqliteStatement leave_queue_;
  SqliteStatement select_ending_;
  SqliteStatement delete_request_;
  SqliteStatement insert_run_;
  SqliteStatement select_run_;
  SqliteStatement start_again_;
  SqliteStatement stop_run_;
  SqliteStatement follow_run_;
  SqliteStatement delete_run_;
  SqliteStatement insert_later_;
  SqliteStatement select_later_;
  SqliteStatement delete_later_;
  SqliteStatement insert_final_;
  SqliteStatement overwrite_final_;
  SqliteStatement select_final_;
  SqliteStatement delete_final_;
  SqliteStatement insert_expiry_;
  SqliteStatement select_expired_;
  SqliteStatement delete_expiry_;
  SqliteStatement delete_expired_;
  SqliteStatement insert_key_;
  SqliteStatement select_key_;
  SqliteStatement delete_key_;
  SqliteStatement select_random_;
  SqliteStatement insert_label_;
  SqliteStatement delete_label_;
  SqliteStatement insert_spool_;
  SqliteStatement delete_spool_;
};

}  // namespace raincheck::store
