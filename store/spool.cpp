#include "store/spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "store/control.hpp"
#include "store/directory.hpp"

namespace raincheck::store {
namespace {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

Error error_of(Fault fault, const char* what) {
  return Error(fault, std::string(what) + ": " + std::strerror(errno));
}

Error write_error(const char* what) {
  if (errno == ENOSPC || errno == EDQUOT) return error_of(Fault::store_full, what);
  // Descriptors and memory come back.
  const bool passing = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
  return error_of(passing ? Fault::overloaded : Fault::store_failed, what);
}

std::uint64_t number_of(const std::string& name) {
  std::uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto [stop, code] = std::from_chars(name.data(), end, number, 16);
  return stop == end && code == std::errc() && Spool::name_of(number) == name ? number : 0;
}

}  // namespace

SpoolWriter::SpoolWriter(Spool& spool, std::uint64_t number, int file, SpoolUse use)
    : spool_(spool), number_(number), file_(file), use_(use) {}

SpoolWriter::~SpoolWriter() {
  ::close(file_);
  if (spool_.forget(number_) && !released_) spool_.remove(number_);
}

Result<void> SpoolWriter::append(std::string_view bytes) {
  if (!spool_.take(bytes.size(), use_)) {
    return Error(Fault::store_full, "there is little room left");
  }
  Result<void> written = write(bytes);
  if (written) {
    size_ += bytes.size();
    return written;
  }
  spool_.space().subtract_files(bytes.size());
  // What went in before the space ended is cut off, so that the same bytes can be asked for again.
  if (::ftruncate(file_, static_cast<off_t>(size_)) != 0) {
    return error_of(Fault::store_failed, "cutting a spool file");
  }
  return spool_.lacking(written.error(), use_);
}

Result<void> SpoolWriter::write(std::string_view bytes) {
  auto offset = static_cast<off_t>(size_);
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return write_error("writing a spool file");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += written;
  }
  return {};
}

Result<void> SpoolWriter::sync() {
  if (!control::sync) return {};
  if (::fdatasync(file_) != 0) return error_of(Fault::store_failed, "syncing a spool file");
  return spool_.sync_directory();
}

SpoolReader::~SpoolReader() {
  ::close(file_);
}

Result<void> SpoolReader::read(std::uint64_t offset, std::span<char> into) {
  while (!into.empty()) {
    const ssize_t got = ::pread(file_, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_of(Fault::internal, "reading a spool file");
    if (got == 0) return Error(Fault::internal, "a spool file is shorter than its row says");
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Spool::Spool(std::string directory, const Space::Limits& limits)
    : directory_(std::move(directory)), space_(limits) {
  make_private_directory(directory_);
  directory_file_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_file_ < 0) {
    throw std::runtime_error("cannot open the spool " + directory_ + ": " + std::strerror(errno));
  }
}

Spool::~Spool() {
  ::close(directory_file_);
}

Result<std::unique_ptr<SpoolWriter>> Spool::create(SpoolUse use) {
  const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const int file = ::openat(directory_file_, name_of(number).c_str(), flags, 0600);
  if (file < 0) return lacking(write_error("making a spool file"), use);
  {
    const std::lock_guard lock(mutex_);
    writing_.insert(number);
  }
  return std::make_unique<SpoolWriter>(*this, number, file, use);
}

Result<std::unique_ptr<SpoolReader>> Spool::open(std::uint64_t number) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
  const int file = ::openat(directory_file_, name_of(number).c_str(), flags);
  if (file < 0) return error_of(Fault::internal, "opening a spool file");
  return std::make_unique<SpoolReader>(file);
}

std::string Spool::name_of(std::uint64_t number) {
  constexpr char digits[] = "0123456789abcdef";
  std::string name(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4) name[i] = digits[number & 15];
  return name;
}

// A file that cannot be removed now is an orphan that the next start removes.
void Spool::remove(std::uint64_t number) {
  const std::string name = name_of(number);
  struct stat status {};
  if (::fstatat(directory_file_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (::unlinkat(directory_file_, name.c_str(), 0) != 0) return;
  space_.subtract_files(static_cast<std::uint64_t>(status.st_size));
}

void Spool::erase(const std::vector<std::uint64_t>& numbers) {
  if (numbers.empty()) return;
  const std::lock_guard lock(mutex_);
  erased_.insert(erased_.end(), numbers.begin(), numbers.end());
  has_erased_.store(true, std::memory_order_relaxed);
}

void Spool::sweep() {
  if (!sweep_due() || ::flock(directory_file_, LOCK_EX | LOCK_NB) != 0) return;
  std::vector<std::uint64_t> erased;
  {
    const std::lock_guard lock(mutex_);
    erased.swap(erased_);
    has_erased_.store(false, std::memory_order_relaxed);
  }
  for (const std::uint64_t number : erased) remove(number);
  (void)::flock(directory_file_, LOCK_UN);
}

std::vector<std::string> Spool::file_names() const {
  const int file = ::openat(directory_file_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = file < 0 ? nullptr : ::fdopendir(file);
  if (!stream) throw std::runtime_error("cannot list " + directory_ + ": " + std::strerror(errno));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

bool Spool::has_files() const {
  return !file_names().empty();
}

std::size_t Spool::remove_orphans(const std::vector<std::uint64_t>& named) {
  std::vector<std::uint64_t> orphans;
  std::uint64_t bytes = 0;
  std::uint64_t last = named.empty() ? 0 : named.back();
  for (const std::string& name : file_names()) {
    const std::uint64_t number = number_of(name);
    last = std::max(last, number);
    struct stat status {};
    if (number == 0 ||
        ::fstatat(directory_file_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // not ours
    }
    bytes += static_cast<std::uint64_t>(status.st_size);
    if (!std::binary_search(named.begin(), named.end(), number)) orphans.push_back(number);
  }
  space_.set_files(bytes);
  next_ = last + 1;
  erase(orphans);
  sweep();
  return orphans.size();
}

void Spool::keep(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  if (writing_.contains(number)) kept_.insert(number);
}

void Spool::unkeep(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  kept_.erase(number);
}

bool Spool::forget(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  writing_.erase(number);
  return kept_.erase(number) == 0;
}

bool Spool::take(std::uint64_t bytes, SpoolUse use) {
  if (use == SpoolUse::request && bytes > space_.room()) return false;
  space_.add_files(bytes);
  return true;
}

// What was accepted is tried again, and finds what is given up here.
Error Spool::lacking(Error error, SpoolUse use) {
  if (error.fault == Fault::store_full && use == SpoolUse::accepted) {
    space_.give_up(Space::For::recording);
  }
  return error;
}

Result<void> Spool::sync_directory() {
  if (::fsync(directory_file_) != 0) return error_of(Fault::store_failed, "syncing the spool");
  return {};
}

}  // namespace raincheck::store
