// raincheck healthcheck: asks the monitoring listener, for HEALTHCHECK of a container and the like.
#include <iostream>

#include "config/load.hpp"
#include "proxy/cli.hpp"

namespace raincheck::proxy {
namespace {

struct HealthcheckOptions {
  std::string address;
  bool ready = false;
};

int healthcheck(const ConfigFile& config, const HealthcheckOptions& options) {
  std::string address = options.address;
  if (address.empty()) {
    const config::Monitoring settings = config::load(config.path()).config.monitoring;
    if (!settings.is_on) {
      std::cerr << "raincheck: " << config.path() << " has 'monitoring: off': nobody to ask\n";
      return 1;
    }
    address = settings.address.value_or(config::Monitoring::default_address);
  }
  AdminQuestion question;
  question.target = options.ready ? "/readyz" : "/healthz";
  question.timeout = std::chrono::seconds(5);
  try {
    const AdminAnswer answer = ask_monitoring(address, question);
    (answer.is_success() ? std::cout : std::cerr) << answer.body;
    return answer.is_success() ? 0 : 1;
  } catch (const AdminUnreachable& error) {
    std::cerr << "raincheck: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace

Command add_healthcheck(CLI::App& app) {
  const auto options = std::make_shared<HealthcheckOptions>();
  CLI::App* const command =
      app.add_subcommand("healthcheck", "Exit with 0 if the running raincheck is well, else 1");
  const ConfigFile config(*command);
  command->add_option("--address", options->address,
                      "Its monitoring.address. Default: what the configuration says");
  command->add_flag("--ready", options->ready, "Ask whether it can accept jobs now");
  return {command, [config, options] { return healthcheck(config, *options); }};
}

}  // namespace raincheck::proxy
