#include "store/directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "store/control.hpp"

namespace raincheck::store {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path) {
  throw std::runtime_error(std::string("cannot ") + what + " the directory " + path + ": " +
                           std::strerror(errno));
}

void sync(const std::string& path) {
  if (!control::sync) return;
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) fail("open", path);
  const int code = ::fsync(file);
  ::close(file);
  if (code != 0) fail("sync", path);
}

}  // namespace

void make_private_directory(const std::string& path) {
  const std::filesystem::path directory(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(directory, ignored)) return;
  std::filesystem::path parent = directory.parent_path();
  if (parent.empty()) parent = ".";
  if (parent != directory) make_private_directory(parent.string());
  if (::mkdir(path.c_str(), 0700) == 0) {
    sync(parent.string());
  } else if (errno != EEXIST) {
    fail("make", path);
  }
}

}  // namespace raincheck::store
