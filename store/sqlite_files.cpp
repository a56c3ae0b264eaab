#include "store/sqlite_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "store/control.hpp"
#include "store/directory.hpp"
#include "store/file_system.hpp"

namespace raincheck::store {
namespace {

// Room for 2^17 frames of the log: four times what it grows to unless a backup holds it back, which
// gives up before that (log_bytes_max in backup.cpp).
constexpr off_t log_index_bytes = 32 * 32'768;

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw std::runtime_error(what + " " + path + ": " + std::strerror(errno));
}

off_t size_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status.st_size;
  if (errno != ENOENT) fail("cannot look at", path);
  return -1;
}

}  // namespace

SqliteFiles::SqliteFiles(std::string directory)
    : directory_(std::move(directory)), database_(directory_ + "/raincheck.db") {
  make_private_directory(directory_);
  refuse_network_file_system(directory_);
  directory_file_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_file_ < 0) fail("cannot open the store's directory", directory_);
  // Not a file in it, which somebody could remove.
  if (::flock(directory_file_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail("cannot lock", directory_);
    throw std::runtime_error("the store in " + directory_ +
                             " is in use by another raincheck process");
  }
}

SqliteFiles::~SqliteFiles() {
  for (const int file : {index_file_, database_file_, directory_file_}) {
    if (file >= 0) ::close(file);
  }
}

void SqliteFiles::prepare(bool spool_used) {
  const bool is_new = size_of(database_) <= 0;
  if (is_new && (size_of(database_ + "-wal") > 0 || spool_used)) {
    throw std::runtime_error(database_ +
                             " is missing or empty, but other files of its store are there: put it "
                             "back from a backup, or move the directory away to begin a new store");
  }
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  database_file_ = ::openat(directory_file_, "raincheck.db", flags, 0600);
  if (database_file_ < 0) fail("cannot open", database_);
}

void SqliteFiles::sync_directory() {
  if (!control::sync) return;
  if (::fsync(directory_file_) != 0) fail("cannot sync", directory_);
}

bool SqliteFiles::sync_database() const {
  return !control::sync || ::fdatasync(database_file_) == 0;
}

void SqliteFiles::write_back() const {
  // What fails is told by the next sync.
  if (control::sync) (void)::sync_file_range(database_file_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void SqliteFiles::reserve_log_index() {
  const std::string path = database_ + "-shm";
  index_file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (index_file_ < 0) fail("cannot open", path);
  const int code = ::posix_fallocate(index_file_, 0, log_index_bytes);
  if (code == ENOSPC) throw std::runtime_error("the disk is full: there is no room for " + path);
  if (code != 0) {
    errno = code;
    fail("cannot take room for", path);
  }
}

}  // namespace raincheck::store
