// The room that the store has: its own limit, what is free on its file system, and the reserve, a
// file that does nothing but take up room. New jobs stop while there is little left; when what must
// be recorded does not fit, a part of the reserve is given up, and taken again when there is room.
// Owned by the Spool, which shares it with the backend. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace raincheck::store {

class Space {
 public:
  struct Limits {
    std::uint64_t bytes_max = 0;  // of rows and spool; 0: no limit. The log comes on top
    std::uint64_t free_min = 0;   // bytes left free on the file system; 0: not looked at
    std::uint64_t reserve = 0;    // bytes; 0: none
  };

  explicit Space(const Limits& limits) : limits_(limits) {}
  ~Space();
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  // Start-up: takes the reserve in this directory, which must be ours, or what of it there is room
  // for. On a disk that is full it gives some up instead, so that the store can be opened. Throws
  // std::runtime_error.
  void open(const std::string& directory);

  // Bytes that new jobs may take now.
  std::uint64_t room() const;
  // Which of the limits leaves no room.
  struct Shortage {
    enum class Of : std::uint8_t { none, bytes_max, free_min, reserve };
    Of of = Of::none;
    std::uint64_t has = 0;  // bytes used, or free, or held
    std::uint64_t limit = 0;
  };
  Shortage shortage() const;
  // On the file system, for us.
  std::uint64_t free_bytes() const;
  // Whether a call may begin: there is room for its result, in the reserve if nowhere else.
  bool may_begin() const;
  bool is_whole() const { return held_.load(std::memory_order_relaxed) >= limits_.reserve; }

  // What there was no room for. The last quarter is kept for what frees room by itself: erasing,
  // and copying the log so that it starts over.
  enum class For { recording, reclaiming };
  // Gives up a part of the reserve: what did not fit may be tried again.
  void give_up(For what);
  // Takes the reserve again, if there is room for it. Maintenance thread.
  void take_again();

  // What the store uses.
  void set_rows(std::uint64_t bytes) { rows_.store(bytes, std::memory_order_relaxed); }
  void set_files(std::uint64_t bytes) { files_.store(bytes, std::memory_order_relaxed); }
  void add_files(std::uint64_t bytes) { files_.fetch_add(bytes, std::memory_order_relaxed); }
  void subtract_files(std::uint64_t bytes) { files_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  std::uint64_t files() const { return files_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t step() const { return (limits_.reserve + 3) / 4; }
  void shrink_to(std::uint64_t size);

  const Limits limits_;
  std::atomic<std::uint64_t> rows_{0};
  std::atomic<std::uint64_t> files_{0};
  std::atomic<std::uint64_t> held_{0};  // of the reserve; written under mutex_
  std::mutex mutex_;
  int directory_ = -1;
  int file_ = -1;  // the reserve
};

}  // namespace raincheck::store
