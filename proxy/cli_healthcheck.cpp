// raincheck healthcheck: asks the monitoring listener, for HEALTHCHECK of a container and the like.
#include <iostream>

#include "proxy/cli.hpp"

namespace raincheck::proxy {
namespace {

struct HealthcheckOptions {
  std::string address;
  bool ready = false;
};

Contact monitoring_of(const config::Config& config) {
  return {"monitoring", "--address", config.monitoring.is_on,
          config.monitoring.address.has_value()};
}

int healthcheck(const ConfigFile& config, const HealthcheckOptions& options) {
  std::string address = options.address;
  if (address.empty()) {
    address = config::Monitoring::default_address;
    if (const auto settings = config.read(monitoring_of)) {
      address = settings->monitoring.address.value_or(address);
    }
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
  return {command, [config, options] {
            return tell_failure([&] { return healthcheck(config, *options); });
          }};
}

}  // namespace raincheck::proxy
