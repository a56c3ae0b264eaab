// Large bodies as files, numbered, in a directory of the store. Synchronous; a file is written by
// one writer, synced, and only then named by a commit. A file that no commit names is an orphan and
// is removed at start. Any thread, but one file from one thread at a time.
//
// Who makes a backup locks the directory (flock, shared) from before its snapshot until it has the
// files that this names. Files that were named are removed under an exclusive lock, so they wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "jobs/error.hpp"
#include "store/space.hpp"

namespace raincheck::store {

class Spool;

// What a body is part of. New requests are refused while there is little room; what belongs to a
// job that was accepted may use all that there is, and then the reserve.
enum class SpoolUse { request, accepted };

// A body that is being written. Unlinks its file when destroyed, unless a commit that names it was
// begun (see Spool::keep) or release() was called.
class SpoolWriter {
 public:
  SpoolWriter(Spool& spool, std::uint64_t number, int file, SpoolUse use);
  ~SpoolWriter();
  SpoolWriter(const SpoolWriter&) = delete;
  SpoolWriter& operator=(const SpoolWriter&) = delete;

  // store_full: nothing of `bytes` counts as written, and the same call may be repeated when space
  // has returned.
  [[nodiscard]] jobs::Result<void> append(std::string_view bytes);
  // The file and its name survive a power cut afterwards. A failure is final.
  [[nodiscard]] jobs::Result<void> sync();
  void release() { released_ = true; }

  std::uint64_t number() const { return number_; }
  std::uint64_t size() const { return size_; }

 private:
  jobs::Result<void> write(std::string_view bytes);

  Spool& spool_;
  std::uint64_t number_;
  int file_;
  SpoolUse use_;
  std::uint64_t size_ = 0;
  bool released_ = false;
};

class SpoolReader {
 public:
  explicit SpoolReader(int file) : file_(file) {}
  ~SpoolReader();
  SpoolReader(const SpoolReader&) = delete;
  SpoolReader& operator=(const SpoolReader&) = delete;

  // Fills all of `into` from `offset`, or fails: a file that is shorter than its row says is a
  // fault of the store.
  [[nodiscard]] jobs::Result<void> read(std::uint64_t offset, std::span<char> into);

 private:
  int file_;
};

class Spool {
 public:
  // Makes the directory (0700) when it is missing. Throws std::runtime_error.
  explicit Spool(std::string directory, const Space::Limits& limits = {});
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  Space& space() { return space_; }

  [[nodiscard]] jobs::Result<std::unique_ptr<SpoolWriter>> create(SpoolUse use);
  [[nodiscard]] jobs::Result<std::unique_ptr<SpoolReader>> open(std::uint64_t number);
  // No row names these files any more: the next sweep() removes them.
  void erase(const std::vector<std::uint64_t>& numbers);
  // Removes what was erased, unless a backup is being made. Maintenance thread.
  void sweep();
  bool sweep_due() const { return has_erased_.load(std::memory_order_relaxed); }
  bool has_files() const;
  // Of a file, in the directory: 16 hexadecimal digits, so that a listing is in order of time.
  static std::string name_of(std::uint64_t number);
  // Start-up: erases and sweeps every file whose number `named` does not hold (sorted), and counts
  // the bytes of the others. Returns how many there were.
  std::size_t remove_orphans(const std::vector<std::uint64_t>& named);

  // A backend calls keep() before it commits a row that names the file, and unkeep() when the
  // commit surely did not happen. Meanwhile the writer's end does not remove the file, so that a
  // row never names a missing one, whatever becomes of who wrote it.
  void keep(std::uint64_t number);
  void unkeep(std::uint64_t number);

  std::uint64_t bytes() const { return space_.files(); }

 private:
  friend class SpoolWriter;
  // True: no commit names the file, as far as is known.
  bool forget(std::uint64_t number);
  void remove(std::uint64_t number);
  bool take(std::uint64_t bytes, SpoolUse use);
  jobs::Error lacking(jobs::Error error, SpoolUse use);
  jobs::Result<void> sync_directory();
  std::vector<std::string> file_names() const;

  std::string directory_;
  Space space_;
  int directory_file_ = -1;
  std::atomic<std::uint64_t> next_{1};
  std::mutex mutex_;
  std::unordered_set<std::uint64_t> writing_;  // guarded by mutex_
  std::unordered_set<std::uint64_t> kept_;     // of writing_, named by a commit; guarded by mutex_
  std::vector<std::uint64_t> erased_;          // guarded by mutex_
  std::atomic<bool> has_erased_{false};
};

}  // namespace raincheck::store
