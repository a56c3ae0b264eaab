// A file system for SQLite on which a chosen write or sync fails, as a full or a broken disk would
// make it. While it exists it is SQLite's default. Tests only, one thread.
#pragma once

#include <sqlite3.h>

#include <functional>

namespace raincheck::store {

class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  // Every write, or sync, from the given one on (0: the next) fails with the code.
  void fail_writes(int after, int code);
  void fail_syncs(int after, int code);
  // Is called before every sync, but not again by what it does itself.
  void on_sync(std::function<void()> call);
  void heal();
  bool has_failed() const;
};

}  // namespace raincheck::store
