// Finds one job by its id, wherever its rows are. On the connection of the writer or of the reader.
#pragma once

#include "store/command.hpp"
#include "store/sqlite.hpp"

namespace raincheck::store {

class SqliteLookup {
 public:
  explicit SqliteLookup(SqliteConnection& connection);

  // Absent: there is no row at this place. Unknown: there is one, of another job. Present: `job`
  // is filled, without the request's head and bytes, and with the response's only if asked for.
  enum class Found : std::uint8_t { absent, unknown, present };
  Found find(const jobs::JobId& id, bool with_response, jobs::Job& job);
  // Of a job that was found: head and body of its request, if that is kept.
  void read_request(jobs::Job& job);

 private:
  Found find_final(const jobs::JobId& id, bool with_response, jobs::Job& job);
  Found find_pending(const jobs::JobId& id, jobs::Job& job);

  SqliteStatement final_;
  SqliteStatement final_with_response_;
  SqliteStatement pending_;
  SqliteStatement request_;
};

// State of a job that is not final, from its run row: epoch and due.
jobs::State pending_state(std::int64_t epoch);

}  // namespace raincheck::store
