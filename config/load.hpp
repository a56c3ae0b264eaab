// Reads a configuration: YAML, interpolation, defaults, includes, and every check that needs no
// network. All problems are found, not the first. Runs at start-up and reload, on the thread that
// asks; it reads files and the environment only through Environment, and never prints.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/yaml.hpp"

namespace raincheck::config {

// What a load may see of the machine. Tests bring their own.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<std::optional<std::string>(const std::string& path)> file;  // its whole content
  // In name order. Throws std::system_error when a folder cannot be listed, or is not there.
  std::function<std::vector<std::string>(const std::string& pattern)> glob;

  static Environment process();  // the real one
  static Environment empty();    // no variables, no files
};

// Why a file could not be read just now, as the end of a sentence: ": Permission denied".
std::string why_unreadable(const std::string& path);

// The text of each file that was read, for the excerpts of messages.
using Sources = std::map<std::string, std::string>;

struct Loaded {
  Config config;
  std::vector<Diagnostic> diagnostics;  // in the order of the files
  Sources sources;
  bool ok = false;  // no errors; warnings do not count

  // Adds what a later check found, such as routes::RouteTable.
  void refuse(const Place& place, const std::string& path, const std::string& message);
  void warn(const Place& place, const std::string& path, const std::string& message);
};

// "-" reads standard input.
Loaded load(const std::string& file, const Environment& environment = Environment::process());
Loaded load_text(const std::string& file, std::string_view text, const Environment& environment);

// "file:line:column: error: path.of.key: what is wrong; did you mean 'x'?", and below it, when the
// source is known, the line and a caret.
std::string format(const Diagnostic& diagnostic, const Sources& sources = {});

// All diagnostics of a load, one below the other.
std::string format(const Loaded& loaded);

}  // namespace raincheck::config
