#include "store/space.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace raincheck::store {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw std::runtime_error(std::string(what) + " " + path + ": " + std::strerror(errno));
}

std::uint64_t above(std::uint64_t value, std::uint64_t floor) {
  return value - std::min(value, floor);
}

}  // namespace

Space::~Space() {
  for (const int file : {file_, directory_}) {
    if (file >= 0) ::close(file);
  }
}

void Space::open(const std::string& directory) {
  directory_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) fail("cannot open", directory);
  if (limits_.reserve == 0) {
    (void)::unlinkat(directory_, "reserve", 0);
    return;
  }
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  file_ = ::openat(directory_, "reserve", flags, 0600);
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0) fail("cannot open", directory + "/reserve");
  // A copy may have holes, which hold nothing.
  const auto blocks = static_cast<std::uint64_t>(status.st_blocks) * 512;
  held_ = std::min(static_cast<std::uint64_t>(status.st_size), blocks);
  if (held_ > limits_.reserve) shrink_to(limits_.reserve);
  if (free_bytes() < step()) {
    give_up(For::reclaiming);
  } else {
    take_again();
  }
}

// Of the file system, for us. Nothing is known before the directory is opened.
std::uint64_t Space::free_bytes() const {
  struct statvfs status {};
  if (directory_ < 0 || ::fstatvfs(directory_, &status) != 0) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

std::uint64_t Space::room() const {
  if (!is_whole()) return 0;
  std::uint64_t room = std::numeric_limits<std::uint64_t>::max();
  if (limits_.bytes_max != 0) room = above(limits_.bytes_max, rows() + files());
  if (limits_.free_min != 0) room = std::min(room, above(free_bytes(), limits_.free_min));
  return room;
}

Space::Shortage Space::shortage() const {
  const std::uint64_t used = rows() + files();
  if (limits_.bytes_max != 0 && used >= limits_.bytes_max) {
    return {Shortage::Of::bytes_max, used, limits_.bytes_max};
  }
  const std::uint64_t free = limits_.free_min == 0 ? 0 : free_bytes();
  if (limits_.free_min != 0 && free <= limits_.free_min) {
    return {Shortage::Of::free_min, free, limits_.free_min};
  }
  if (is_whole()) return {};
  return {Shortage::Of::reserve, held_.load(std::memory_order_relaxed), limits_.reserve};
}

bool Space::may_begin() const {
  if (limits_.reserve == 0) return true;
  const bool beyond =
      limits_.bytes_max != 0 && rows() + files() >= limits_.bytes_max + limits_.reserve;
  return is_whole() && !beyond;
}

void Space::give_up(For what) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t kept = what == For::reclaiming ? 0 : step();
  const std::uint64_t held = held_.load(std::memory_order_relaxed);
  if (held > kept) shrink_to(std::max(kept, above(held, step())));
}

void Space::take_again() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t held = held_.load(std::memory_order_relaxed);
  const std::uint64_t missing = above(limits_.reserve, held);
  // Not what was given up a moment ago, before it is used.
  if (missing == 0 || free_bytes() < missing + step()) return;
  if (::posix_fallocate(file_, 0, static_cast<off_t>(limits_.reserve)) == 0) {
    held_.store(limits_.reserve, std::memory_order_relaxed);
  } else {
    shrink_to(held);
  }
}

void Space::shrink_to(std::uint64_t size) {
  if (::ftruncate(file_, static_cast<off_t>(size)) != 0) return;
  held_.store(size, std::memory_order_relaxed);
  // Some file systems let go of the room only then.
  (void)::fsync(file_);
}

}  // namespace raincheck::store
