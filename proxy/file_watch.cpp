#include "proxy/file_watch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

namespace raincheck::proxy {

config::Environment FileWatch::noting(const config::Environment& environment) {
  config::Environment noting = environment;
  noting.file = [this, file = environment.file](const std::string& path) {
    files_.insert(path);
    return file(path);
  };
  noting.glob = [this, glob = environment.glob](const std::string& pattern) {
    patterns_.insert(pattern);
    return glob(pattern);
  };
  return noting;
}

// What stands behind the links of a path counts: another file has another number.
std::string FileWatch::look() const {
  std::string seen;
  for (const std::string& path : files_) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) file = {};
    seen += fmt::format("{}:{}:{}:{}:{}.{}\n", path, file.st_dev, file.st_ino, file.st_size,
                        file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
  }
  for (const std::string& pattern : patterns_) {
    for (const std::string& path : config::Environment::process().glob(pattern))
      seen += path + "\n";
  }
  return seen;
}

}  // namespace raincheck::proxy
