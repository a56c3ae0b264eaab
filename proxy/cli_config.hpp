// The configuration file of a command: the one that the command line names, else the one that
// RAINCHECK_CONFIG names, else the service's; and what it says of where the running process can be
// asked.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "config/config.hpp"

namespace raincheck::proxy {

// A command cannot be carried out: what() is a sentence for people.
class CommandFailed : public std::runtime_error {
 public:
  CommandFailed(int status, const std::string& why) : std::runtime_error(why), status_(status) {}
  int status() const { return status_; }  // of sysexits.h

 private:
  int status_;
};

// Throws CommandFailed, with 66, if the file cannot be read. "-" can.
void require_readable(const std::string& file);

// A section that says where the running process can be asked.
struct Contact {
  std::string name;        // "admin"
  std::string option;      // of the command line, which says it without a file
  bool is_on = true;       // as the file says
  bool is_placed = false;  // the file says where
};

// The option of one command, which shares its value with no other: CLI11 gives the variable to the
// commands that were not called, too.
class ConfigFile {
 public:
  explicit ConfigFile(CLI::App& command,
                      const std::string& names = "-c,--config",
                      const std::string& description = "The configuration file");

  const std::string& path() const { return *path_; }

  // What the file says, if `contact` can be read from it: mistakes elsewhere do not matter.
  // Nothing: no file was named and the service has none. Throws CommandFailed, with 66, 69 if it is
  // off, or 78 with the file's mistakes printed, so that no other process is asked by mistake.
  std::optional<config::Config> read(Contact (*contact)(const config::Config&)) const;

 private:
  std::shared_ptr<std::string> path_;
  CLI::Option* option_;
};

}  // namespace raincheck::proxy
