// The directory of an embedded store: made when it is missing, private, locked against a second
// process, and looked at before SQLite opens anything, so that damage is told and never built over.
// Start-up only; throws std::runtime_error.
#pragma once

#include <string>

namespace raincheck::store {

class SqliteFiles {
 public:
  explicit SqliteFiles(std::string directory);
  ~SqliteFiles();
  SqliteFiles(const SqliteFiles&) = delete;
  SqliteFiles& operator=(const SqliteFiles&) = delete;

  const std::string& database() const { return database_; }
  // The database file is there, perhaps empty: a new one, or one that was begun and never used.
  // Refuses when a store was here and its database is missing or empty. `spool_used`: there are
  // files in the spool.
  void prepare(bool spool_used);
  // The names of new files survive a power cut afterwards.
  void sync_directory();
  // What SQLite wrote to the database file is on the disk afterwards; false: it failed. Any thread.
  bool sync_database() const;
  // The same is begun, and nothing is waited for. Any thread.
  void write_back() const;
  // Takes the room that SQLite's index of the log may need, so that no commit fails for lack of it
  // after its sync, when nobody could tell any more whether it happened. Once the database is open.
  void reserve_log_index();

 private:
  std::string directory_;
  std::string database_;
  int directory_file_ = -1;
  // Closed after SQLite's own: POSIX takes away a process's locks on a file with the first
  // descriptor of it that the process closes.
  int database_file_ = -1;
  int index_file_ = -1;
};

}  // namespace raincheck::store
