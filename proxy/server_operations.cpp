// What operators can ask the Server and have it do: the table of each listener, and opening them.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/listening.hpp"
#include "proxy/server.hpp"

namespace raincheck::proxy {
namespace {

constexpr OperationsOptions monitoring_options{.audits = false, .body_max = 0};
constexpr OperationsOptions admin_options{.audits = true, .body_max = 64 * 1024};

// The address by default may be another program's already: that must not keep us from serving.
Descriptor listen_for_monitoring(const config::Monitoring& settings, std::string& address) {
  address = settings.address.value_or(config::Monitoring::default_address);
  if (settings.address) return listen_on(address, true);
  try {
    return listen_on(address, true);
  } catch (const std::runtime_error& error) {
    spdlog::warn("no monitoring: {}; say where it shall be with monitoring.address", error.what());
    return Descriptor();
  }
}

void show_version(const OperationRequest&, const OperationReply& reply) {
  reply(json_answer(R"({"version":")" RAINCHECK_VERSION R"("})"));
}

}  // namespace

void Server::show_health(const OperationReply& reply) {
  reply(store_->failed() ? text_answer("the store has failed\n", 503) : text_answer("ok\n"));
}

// Only what changes nothing: this may face a network.
std::vector<Operation> Server::monitoring_operations() {
  return {
      {"GET", "/healthz",
       [this](const OperationRequest&, const OperationReply& reply) { show_health(reply); }},
      {"GET", "/version", show_version},
  };
}

// With the new configuration's mistakes, or with what changes, in lines as `raincheck check` has
// them.
void Server::answer_reload(const OperationReply& reply) {
  Reloaded reloaded = reload();
  OperationAnswer answer = text_answer(std::move(reloaded.text), reloaded.is_done ? 200 : 422);
  answer.outcome = reloaded.is_done ? "in force" : "refused";
  reply(std::move(answer));
}

std::vector<Operation> Server::admin_operations() {
  return {
      {"GET", "/version", show_version},
      {"POST", "/reload",
       [this](const OperationRequest&, const OperationReply& reply) { answer_reload(reply); }},
  };
}

void Server::open_operations() {
  if (config().monitoring.is_on) {
    std::string address;
    Descriptor socket = listen_for_monitoring(config().monitoring, address);
    if (socket) {
      monitoring_ = std::make_unique<OperationsServer>(io_, std::move(socket),
                                                       monitoring_operations(), monitoring_options);
      spdlog::info("monitoring on {}", address);
    }
  }
  const std::string& path = config().admin.socket;
  if (config().admin.is_on && !path.empty()) {
    admin_ = std::make_unique<OperationsServer>(io_, listen_on_admin_socket(path),
                                                admin_operations(), admin_options);
    spdlog::info("admin socket at {}", path);
  }
}

}  // namespace raincheck::proxy
