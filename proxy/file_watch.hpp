// Whether files that a configuration was read from have changed since: by looking at them, not by
// inotify, for a mounted volume is often changed by swapping a symbolic link somewhere on the path,
// and network file systems tell nothing. Main thread.
#pragma once

#include <map>
#include <string>

#include "config/load.hpp"

namespace raincheck::proxy {

class FileWatch {
 public:
  // `environment`, with everything noted that is read through it. Lives as long as this.
  config::Environment noting(const config::Environment& environment);

  // All that was noted, as it was before it was read, and as it is now. The same text: nothing has
  // changed.
  std::string noted() const;
  std::string look() const;

 private:
  // What each looked like.
  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> patterns_;
};

}  // namespace raincheck::proxy
