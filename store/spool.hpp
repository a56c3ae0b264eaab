// Large bodies as files, numbered, in a directory of the store. Synchronous; a file is written by
// one writer, synced, and only then named by a commit. A file that no commit names is an orphan and
// is removed at start. Any thread, but one file from one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jobs/error.hpp"

namespace raincheck::store {

class Spool;

// A body that is being written. Unlinks its file when destroyed, unless release() was called: the
// commit that names it is durable.
class SpoolWriter {
 public:
  SpoolWriter(Spool& spool, std::uint64_t number, int file);
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
  Spool& spool_;
  std::uint64_t number_;
  int file_;
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
  // Makes the directory (0700) when it is missing. Throws std::runtime_error. `bytes_max` bounds
  // the spool as a whole.
  Spool(std::string directory, std::uint64_t bytes_max);

  [[nodiscard]] jobs::Result<std::unique_ptr<SpoolWriter>> create();
  [[nodiscard]] jobs::Result<std::unique_ptr<SpoolReader>> open(std::uint64_t number);
  void remove(std::uint64_t number);
  // Start-up: removes every file whose number `named` does not hold (sorted), and counts the bytes
  // of the others.
  std::size_t remove_orphans(const std::vector<std::uint64_t>& named);

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  friend class SpoolWriter;
  std::string path(std::uint64_t number) const;

  std::string directory_;
  std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace raincheck::store
