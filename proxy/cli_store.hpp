// The commands that look after a store's directory: raincheck store backup | verify | restore. They
// work on its files and ask no process that serves it. Owned by main(), on its thread.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace raincheck::proxy {

class StoreCommands {
 public:
  // Adds them to the program's.
  StoreCommands(CLI::App& app, std::string config);

  // Runs the one that was asked for and returns the exit status; nothing: none was.
  std::optional<int> run() const;

 private:
  std::optional<std::string> directory(int& status) const;

  std::string config_;  // names the store's directory, unless store_ does
  std::string store_;
  std::string copy_;
  CLI::App* backup_ = nullptr;
  CLI::App* verify_ = nullptr;
  CLI::App* restore_ = nullptr;
};

}  // namespace raincheck::proxy
