// Copies of a store on disk: made while a process serves it, looked at, and put back. Synchronous,
// for the command line; nothing of it runs in a process that serves. Each throws BackupError, or
// another std::runtime_error if reading or writing failed, in words for the operator.
//
// A backup is a directory like a store's: the database, complete only once it is named
// raincheck.db, and the spool. It is of one instant: a read transaction that lasts until the
// database is copied, begun and ended under the lock of the spool (see Spool), so that each file
// that it names is there until it is linked or copied. Ended at any point, it leaves nothing but an
// incomplete directory. It is marked as a copy (`copied` in meta): whoever opens it sends nothing
// again that may have been carried out since.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace raincheck::store {

class BackupError : public std::runtime_error {
 public:
  enum class Kind {
    damaged,     // what is to be read is no store, or none that can be read in full
    unreadable,  // it is not there, or may not be read
    no_place,    // where the copy is to be, none can be made
  };
  BackupError(Kind kind, const std::string& why) : std::runtime_error(why), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// What was looked at, and what is wrong with it.
struct Findings {
  std::uint64_t files = 0;  // of the spool, named by rows
  std::uint64_t bytes = 0;  // of the database and these files
  std::vector<std::string> wrong;
};

// Copies the store into a directory that is missing or empty, and outside of the store's. What is
// wrong with the spool is told and left out; the rest is copied.
Findings back_up(const std::string& store, const std::string& to);

// A backup, or a store, served or not: its format, SQLite's integrity check, and the size of every
// file that it names.
Findings verify(const std::string& directory);

// Verifies a backup and copies it into a directory that is missing or empty, for a process to serve
// it. Nothing is copied of one with which something is wrong. Run by root, what it makes belongs to
// whom the directory belongs.
Findings restore(const std::string& backup, const std::string& to);

}  // namespace raincheck::store
