#include "proxy/cli_config.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>

#include "config/load.hpp"

namespace raincheck::proxy {
namespace {

bool is_within(const std::string& path, const std::string& section) {
  return path == section || path.rfind(section + ".", 0) == 0;
}

// Whether the mistake may be the reason that the section is not read, or not as it was meant.
bool hides(const config::Diagnostic& mistake, const Contact& contact) {
  if (mistake.severity != config::Severity::error) return false;
  if (is_within(mistake.path, contact.name)) return true;
  if (mistake.path.find_first_of(".[") != std::string::npos) return false;
  // Of the file as a whole, or a key that may be the section's, misspelt.
  const bool is_of_file = mistake.path.empty() && contact.is_on && !contact.is_placed;
  return is_of_file || mistake.message.find("'" + contact.name + "'") != std::string::npos ||
         mistake.hint.find(contact.name) != std::string::npos;
}

}  // namespace

void require_readable(const std::string& file) {
  const std::string why = file == "-" ? "" : config::why_unreadable(file);
  if (!why.empty()) throw CommandFailed(EX_NOINPUT, "cannot read " + file + why);
}

ConfigFile::ConfigFile(CLI::App& command, const std::string& names, const std::string& description)
    : path_(std::make_shared<std::string>("/etc/raincheck/raincheck.yaml")),
      option_(command.add_option(names, *path_, description)) {
  option_->envname("RAINCHECK_CONFIG")->capture_default_str();
}

std::optional<config::Config> ConfigFile::read(Contact (*find)(const config::Config&)) const {
  const bool is_named = option_->count() > 0;
  if (!is_named && ::access(path().c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  require_readable(path());
  config::Loaded loaded = config::load(path());
  const Contact contact = find(loaded.config);
  const auto hiding = [&](const config::Diagnostic& found) { return hides(found, contact); };
  if (std::any_of(loaded.diagnostics.begin(), loaded.diagnostics.end(), hiding)) {
    std::cerr << config::format(loaded);
    throw CommandFailed(EX_CONFIG, "'" + contact.name + "' cannot be read from " + path() + "; " +
                                       contact.option + " can be given instead");
  }
  if (contact.is_on) return std::move(loaded.config);
  throw CommandFailed(EX_UNAVAILABLE, path() + " has '" + contact.name + ": off'");
}

}  // namespace raincheck::proxy
