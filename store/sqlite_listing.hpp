// Answers List from the rows of a store, over a read connection of its own, beside whoever serves
// it. One call at a time, on a thread that may wait for the disk.
#pragma once

#include <optional>
#include <string>

#include "store/listing.hpp"
#include "store/sqlite_lookup.hpp"

namespace raincheck::store {

class SqliteListing {
 public:
  // Throws SqliteError; so does list().
  SqliteListing(const std::string& database, std::uint8_t partition);

  void list(List& command);

 private:
  // The next row of a lane, looked at already.
  struct Next {
    jobs::Place place;
    jobs::Job job;
  };
  void begin_cursor(List& command);
  void walk(List& command);
  jobs::Job read(const jobs::Place& place);
  std::optional<Next> next_in_lane(const List& command, std::uint32_t lane);
  std::optional<std::int64_t> next_key(const List& command, std::uint32_t lane);
  template <class... Values>
  std::optional<std::int64_t> next_key(SqliteStatement& statement,
                                       const List& command,
                                       std::uint32_t lane,
                                       const Values&... values);

  const std::uint8_t partition_;
  SqliteConnection connection_;
  SqliteLookup lookup_;
  SqliteStatement begin_;
  SqliteStatement end_;
  SqliteStatement tails_;
  SqliteStatement random_;
  SqliteStatement last_final_;
  SqliteStatement last_request_;
  SqliteStatement first_final_;
  SqliteStatement first_request_;
  SqliteStatement last_labeled_;
  SqliteStatement first_labeled_;
};

}  // namespace raincheck::store
