#include "proxy/health_checks.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace raincheck::proxy {

using jobs::milliseconds;
using jobs::Result;

bool Health::observe(bool is_well) {
  in_row_ = is_well == is_up_ ? 0 : in_row_ + 1;
  if (in_row_ < (is_up_ ? settings_.fall : settings_.rise)) return false;
  is_up_ = is_well;
  in_row_ = 0;
  return true;
}

milliseconds jittered(milliseconds interval, std::uint32_t random) {
  const milliseconds tenth = interval / 10;
  return interval - tenth + milliseconds(random % (2 * tenth.count() + 1));
}

awaitable<std::string> PoolProbe::check(std::size_t server,
                                        TimePoint deadline,
                                        AbortRequest& abort) {
  auto dialed = co_await pool_.dial(server, deadline, abort);
  if (!dialed) co_return dialed.error().detail;
  UpstreamConnection& connection = **dialed;
  connection.attempt = deadline;
  abort.end = [&connection] { connection.connection().abort(); };
  const Result<void> answered = co_await ask(connection);
  abort.end = nullptr;
  if (!answered) co_return answered.error().detail;
  const int status = connection.head().status;
  const auto& good = pool_.upstream().health_check.status;
  const bool is_good = std::any_of(good.begin(), good.end(), [status](const auto& range) {
    return range.first <= status && status <= range.last;
  });
  co_return is_good ? std::string() : fmt::format("status {}", status);
}

awaitable<Result<void>> PoolProbe::ask(UpstreamConnection& connection) {
  const std::string head = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: raincheck\r\nConnection: close\r\n\r\n",
      pool_.upstream().health_check.path, connection.server().authority);
  const Result<void> sent = co_await connection.send(head, std::string_view());
  if (!sent) co_return sent;
  co_return co_await connection.read_head(false, false);
}

struct HealthChecks::Watched {
  Watched(boost::asio::io_context& io,
          Timers& timers,
          const config::HealthCheck& settings,
          bool is_up)
      : health(settings, is_up), pause(io, timers) {}

  Health health;
  Signal pause;
  AbortRequest abort;
};

HealthChecks::HealthChecks(boost::asio::io_context& io,
                           Timers& timers,
                           const config::Upstream& upstream,
                           const ServerSlots& slots,
                           std::unique_ptr<HealthProbe> probe,
                           std::uint32_t seed,
                           std::function<void()> recovered)
    : timers_(timers),
      upstream_(upstream),
      slots_(slots),
      probe_(std::move(probe)),
      recovered_(std::move(recovered)),
      random_(seed) {
  for (const auto& server : slots) {
    const bool is_up = !server->held();
    servers_.push_back(std::make_unique<Watched>(io, timers, upstream.health_check, is_up));
    up_ += is_up ? 1 : 0;
  }
}

HealthChecks::~HealthChecks() = default;

void HealthChecks::start(TaskGroup& tasks) {
  for (std::size_t i = 0; i < servers_.size(); ++i) tasks.spawn(watch(i));
}

void HealthChecks::stop() {
  stopping_ = true;
  for (const auto& server : servers_) {
    server->abort.request();
    server->pause.notify();
  }
}

awaitable<void> HealthChecks::watch(std::size_t server) {
  Watched& watched = *servers_[server];
  const config::HealthCheck& settings = upstream_.health_check;
  while (!stopping_) {
    const TimePoint began = timers_.now();
    const TimePoint deadline = began + settings.timeout;
    const std::string why = co_await probe_->check(server, deadline, watched.abort);
    if (stopping_) break;
    if (watched.health.observe(why.empty())) tell(server, why);
    const TimePoint next =
        began + jittered(settings.interval, static_cast<std::uint32_t>(random_()));
    co_await watched.pause.wait(next);
  }
}

void HealthChecks::tell(std::size_t server, const std::string& why) {
  const std::string& authority = upstream_.servers[server].authority;
  const bool is_up = servers_[server]->health.is_up();
  if (is_up) slots_[server]->set_back_at(timers_.now());
  slots_[server]->hold(!is_up);
  if (!is_up) {
    --up_;
    spdlog::warn("upstream {}: server {} is down: {} checks failed in a row, the last by: {}",
                 upstream_.name, authority, upstream_.health_check.fall, why);
    return;
  }
  spdlog::info("upstream {}: server {} is up again", upstream_.name, authority);
  slots_[server]->wake();
  if (++up_ == 1) recovered_();
}

}  // namespace raincheck::proxy
