#include "proxy/cli_config.hpp"

namespace raincheck::proxy {

ConfigFile::ConfigFile(CLI::App& command, const std::string& names, const std::string& description)
    : path_(std::make_shared<std::string>("/etc/raincheck/raincheck.yaml")) {
  command.add_option(names, *path_, description)
      ->envname("RAINCHECK_CONFIG")
      ->capture_default_str();
}

}  // namespace raincheck::proxy
