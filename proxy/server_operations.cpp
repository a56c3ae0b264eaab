// What operators can ask the Server and have it do: the table of each listener, and opening them.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "jobs/json_object.hpp"
#include "proxy/job_operations.hpp"
#include "proxy/listening.hpp"
#include "proxy/metrics_text.hpp"
#include "proxy/server.hpp"
#include "proxy/service_manager.hpp"

namespace raincheck::proxy {
namespace {

constexpr OperationsOptions monitoring_options{.audits = false, .body_max = 0};
// A cursor through jobs grows with the number of lanes that have some.
constexpr OperationsOptions admin_options{
    .audits = true, .head_max = 1024 * 1024, .body_max = 64 * 1024};

// The address by default may be another program's already: that must not keep us from serving.
ListeningSocket listen_for_monitoring(const config::Monitoring& settings, std::string& address) {
  address = settings.address.value_or(config::Monitoring::default_address);
  if (settings.address) return listen_on(address, true);
  try {
    return listen_on(address, true);
  } catch (const std::runtime_error& error) {
    spdlog::warn("no monitoring: {}; say where it shall be with monitoring.address", error.what());
    return {};
  }
}

constexpr jobs::milliseconds vitals_every{1'000};
// What is well may be quiet for a second or two.
constexpr jobs::milliseconds progress_within_min{2'500};

void show(const std::vector<Vital>& checks,
          const OperationRequest& request,
          const OperationReply& reply) {
  const bool is_verbose = request.parameter("verbose") != nullptr;
  reply(json_answer(show_checks(checks, is_verbose), all_well(checks) ? 200 : 503));
}

// The operation that lists them all, itself first.
Operation list_of(const std::vector<Operation>& operations) {
  std::string list = R"([{"method":"GET","path":"/"})";
  for (const Operation& each : operations) {
    list += ',';
    jobs::JsonObject object(list);
    object.text("method", each.method);
    object.text("path", each.path);
  }
  list += ']';
  return {"GET", "/", [list](const OperationRequest&, const OperationReply& reply) {
            reply(json_answer(list));
          }};
}

void show_version(const OperationRequest&, const OperationReply& reply) {
  reply(json_answer(R"({"version":")" RAINCHECK_VERSION R"("})"));
}

}  // namespace

std::vector<Vital> Server::vitals(jobs::milliseconds within) const {
  const jobs::TimePoint now = jobs::system_clock().now();
  Progress behind;
  for (const auto& shard : shards_) {
    const Progress progress = shard->progress();
    behind.loop = std::min(behind.loop, progress.loop);
    behind.dispatchers = std::min(behind.dispatchers, progress.dispatchers);
    behind.store = std::min(behind.store, progress.store);
  }
  return {check_progress("shards", behind.loop, now, within),
          check_progress("dispatchers", behind.dispatchers, now, within),
          check_progress("store_writer", behind.store, now, within),
          {"store", store_->failed() ? "it has failed: see the log" : ""}};
}

std::vector<Vital> Server::readiness() const {
  std::vector<Vital> checks = vitals(progress_within);
  const bool is_full = pending_.count >= static_cast<std::int64_t>(config().jobs.max_pending);
  checks.push_back({"space", shortage_of(store_->spool().space())});
  checks.push_back({"queue", is_full ? "jobs.max_pending jobs are waiting" : ""});
  checks.push_back({"draining", draining_ ? "it is stopping" : ""});
  return checks;
}

void Server::show_health(const OperationRequest& request, const OperationReply& reply) const {
  show(vitals(progress_within), request, reply);
}

void Server::show_readiness(const OperationRequest& request, const OperationReply& reply) const {
  show(readiness(), request, reply);
}

void Server::show_metrics(const OperationReply& reply) {
  MetricsSources sources{metrics_, *generation_, *store_, recovered_, jobs::system_clock()};
  OperationAnswer answer;
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  answer.body = metrics_text(sources);
  reply(std::move(answer));
}

std::string Server::status_text() const {
  std::size_t running = 0;
  for (const auto& shard : shards_) running += shard->running();
  const std::int64_t pending = pending_.count;
  const std::int64_t queued =
      std::max<std::int64_t>(0, pending - static_cast<std::int64_t>(running));
  const std::string refused =
      metrics_.reload.was_successful ? "" : "; the configuration was read again and is refused";
  return fmt::format("serving {} routes, {} running, {} queued{}", config().routes.size(), running,
                     queued, refused);
}

void Server::tell_systemd() {
  const jobs::milliseconds within =
      watchdog_.count() == 0
          ? progress_within
          : std::clamp<jobs::milliseconds>(watchdog_ / 2, progress_within_min, progress_within);
  const std::vector<Vital> checks = vitals(within);
  const bool is_well = all_well(checks);
  if (is_well != was_well_ && !is_well) spdlog::error("not well: {}", troubles(checks));
  if (is_well != was_well_ && is_well) spdlog::warn("well again");
  was_well_ = is_well;
  if (is_well && watchdog_.count() != 0) service_manager::tell_alive();
  if (is_well && draining_) return;  // how far that is says poll_drain()
  const std::string status = is_well ? status_text() : "not well: " + troubles(checks);
  if (status == told_status_) return;
  service_manager::tell_status(status);
  told_status_ = status;
}

void Server::watch_vitals() {
  if (watchdog_.count() == 0) watchdog_ = service_manager::watchdog();
  tell_systemd();
  const bool is_watched = watchdog_.count() != 0;
  vitals_timer_.expires_after(is_watched ? std::min(vitals_every, watchdog_ / 2) : vitals_every);
  vitals_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) watch_vitals();
  });
}

// Only what changes nothing: this may face a network.
std::vector<Operation> Server::monitoring_operations() {
  return {
      {"GET", "/healthz",
       [this](const OperationRequest& asked, const OperationReply& reply) {
         show_health(asked, reply);
       }},
      {"GET", "/readyz",
       [this](const OperationRequest& asked, const OperationReply& reply) {
         show_readiness(asked, reply);
       }},
      {"GET", "/metrics",
       [this](const OperationRequest&, const OperationReply& reply) { show_metrics(reply); }},
      {"GET", "/version", show_version},
  };
}

// With the new configuration's mistakes, or with what changes, in lines as `raincheck check` has
// them.
void Server::answer_reload(const OperationRequest& request, const OperationReply& reply) {
  const bool is_rehearsal = request.parameter("dry_run") != nullptr;
  Reloaded reloaded = is_rehearsal ? try_reload(true) : reload();
  OperationAnswer answer = text_answer(std::move(reloaded.text), reloaded.is_done ? 200 : 422);
  answer.outcome = !reloaded.is_done ? "refused" : is_rehearsal ? "not put in force" : "in force";
  reply(std::move(answer));
}

std::vector<Operation> Server::admin_operations() {
  std::vector<Operation> operations = {
      {"GET", "/version", show_version},
      {"POST",
       "/reload",
       [this](const OperationRequest& asked, const OperationReply& reply) {
         answer_reload(asked, reply);
       },
       {"dry_run"}},
  };
  const auto on_shard = [this](Shard::Work work) { shards_.front()->operate(std::move(work)); };
  for (Operation& each : job_operations(on_shard)) operations.push_back(std::move(each));
  for (Operation& each : control_operations()) operations.push_back(std::move(each));
  operations.push_back(list_of(operations));
  return operations;
}

void Server::open_operations() {
  if (config().monitoring.is_on) {
    std::string address;
    ListeningSocket listening = listen_for_monitoring(config().monitoring, address);
    if (listening.socket) {
      monitoring_ = std::make_unique<OperationsServer>(io_, std::move(listening),
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
