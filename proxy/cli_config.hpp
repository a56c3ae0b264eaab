// The configuration file of a command: the one that the command line names, else the one that
// RAINCHECK_CONFIG names, else the service's.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace raincheck::proxy {

// The option of one command, which shares its value with no other: CLI11 gives the variable to the
// commands that were not called, too.
class ConfigFile {
 public:
  explicit ConfigFile(CLI::App& command,
                      const std::string& names = "-c,--config",
                      const std::string& description = "The configuration file");

  const std::string& path() const { return *path_; }

 private:
  std::shared_ptr<std::string> path_;
};

}  // namespace raincheck::proxy
