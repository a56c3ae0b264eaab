// Keeps SQLite's write-ahead log short without making commits wait. Owned by SqliteBackend; each
// function says its thread.
//
// A checkpoint copies pages from the log to the database, so it runs on the maintenance thread
// while commits go on appending: a megabyte at a time, whose writing to the disk begins at once,
// for a commit waits behind whatever the CPU and the disk are at. (`bench/run --only accept`: 32
// MiB at a time made the slowest 202 in a hundred take three times as long.) But a log starts over
// only when a commit finds all of it copied, which under constant load never happens by itself. So
// when it is long, the maintenance thread syncs the database and copies until little is left, the
// writer copies that rest between two batches, while no read is under way, and the next commit
// starts the log over. A log that is started over and not truncated is overwritten in place, so
// that its syncs change no metadata.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "store/space.hpp"
#include "store/sqlite.hpp"
#include "store/sqlite_files.hpp"

namespace raincheck::store {

class SqliteLog {
 public:
  // From here on commits wait for copying.
  static constexpr std::int64_t bytes_max = 256 * 1024 * 1024;

  // `writer` is the connection that commits; its log may hold frames of an earlier process. What
  // the database has no room for is taken from the reserve of `space`.
  SqliteLog(const SqliteFiles& files, SqliteConnection& writer, Space& space);

  // Maintenance thread.
  bool due() const;  // any thread
  void copy();

  // Writer thread, before a transaction: copies the rest if asked to, or all of a log that is too
  // long.
  void before_batch();
  // After a failed sync: nothing is copied any more, neither now nor when the file is closed.
  void stop();

  // Held while a read is under way.
  std::mutex& reads() { return reads_; }
  // Bytes of the log file. Any thread.
  std::uint64_t bytes() const;

 private:
  struct Progress {
    int frames = 0;  // in the log
    int copied = 0;
  };
  static int on_commit(void* self, sqlite3* db, const char* name, int frames);
  Progress run(SqliteConnection& connection);

  const SqliteFiles& files_;
  Space& space_;
  SqliteConnection& writer_;
  SqliteConnection connection_;  // the maintenance thread's
  std::mutex copying_;           // one at a time
  std::mutex reads_;
  std::atomic<int> frames_{0};
  std::atomic<int> copied_{0};      // of those frames, unless the log started over since
  std::atomic<int> frames_max_{0};  // the file never shrinks
  std::atomic<bool> rest_due_{false};
  std::atomic<bool> stopped_{false};
};

}  // namespace raincheck::store
