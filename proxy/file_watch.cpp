#include "proxy/file_watch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

namespace raincheck::proxy {

namespace {

// What stands behind the links of a path counts: another file has another number.
std::string look_at(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) file = {};
  return fmt::format("{}:{}:{}:{}:{}.{}\n", path, file.st_dev, file.st_ino, file.st_size,
                     file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

std::string list(const std::string& pattern) {
  std::string seen;
  try {
    for (const std::string& path : config::Environment::process().glob(pattern))
      seen += path + "\n";
  } catch (const std::system_error& error) {
    seen = error.what();
  }
  return seen;
}

}  // namespace

// Looked at before it is read: what changes while the rest is read is a change.
config::Environment FileWatch::noting(const config::Environment& environment) {
  config::Environment noting = environment;
  noting.file = [this, file = environment.file](const std::string& path) {
    files_.try_emplace(path, look_at(path));
    return file(path);
  };
  noting.glob = [this, glob = environment.glob](const std::string& pattern) {
    patterns_.try_emplace(pattern, list(pattern));
    return glob(pattern);
  };
  return noting;
}

std::string FileWatch::noted() const {
  std::string seen;
  for (const auto& [path, look] : files_) seen += look;
  for (const auto& [pattern, look] : patterns_) seen += look;
  return seen;
}

std::string FileWatch::look() const {
  std::string seen;
  for (const auto& [path, look] : files_) seen += look_at(path);
  for (const auto& [pattern, look] : patterns_) seen += list(pattern);
  return seen;
}

}  // namespace raincheck::proxy
