#include "proxy/cli.hpp"

#include "config/load.hpp"

namespace raincheck::proxy {

std::vector<Command> add_operating_commands(CLI::App& app) {
  return {
      add_healthcheck(app),
      add_reload(app),
  };
}

AdminSocket::AdminSocket(CLI::App& command) : options_(std::make_shared<Options>()) {
  command.add_option("-c,--config", options_->config, "The configuration file")
      ->envname("RAINCHECK_CONFIG")
      ->capture_default_str();
  command.add_option("--socket", options_->socket,
                     "The admin socket. Default: what the configuration says");
}

AdminAnswer AdminSocket::ask(const AdminQuestion& question) const {
  std::string socket = options_->socket;
  if (socket.empty()) socket = config::load(options_->config).config.admin.socket;
  if (socket.empty()) socket = "/run/raincheck/admin.sock";
  return ask_admin(socket, question);
}

}  // namespace raincheck::proxy
