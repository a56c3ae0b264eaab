// What operators can have the Server do beside reloading: how it is in numbers, and the drain.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "jobs/json_object.hpp"
#include "proxy/server.hpp"

namespace raincheck::proxy {

using jobs::JsonObject;

namespace {

struct Queue {
  std::uint64_t queued = 0;
  jobs::WallTime oldest{};  // epoch: none waits for its first attempt, or it is not known yet

  void add(const QueueMetrics& metrics) {
    queued += static_cast<std::uint64_t>(metrics.queued.value());
    const jobs::WallTime other{jobs::milliseconds(metrics.oldest.value())};
    const bool is_first = oldest == jobs::WallTime() || other < oldest;
    if (other != jobs::WallTime() && is_first) oldest = other;
  }
};

struct Queues {
  explicit Queues(Metrics& metrics) {
    const std::lock_guard lock(metrics.mutex);
    for (const auto& [names, queue] : metrics.queues) {
      of_upstreams[names.first].add(*queue);
      of_routes[names.second].add(*queue);
    }
  }

  std::map<std::string, Queue> of_upstreams;
  std::map<std::string, Queue> of_routes;
};

void append_queue(JsonObject& object, const Queue& queue) {
  object.number("queued", queue.queued);
  const auto age = jobs::system_clock().wall_now() - queue.oldest;
  if (queue.queued != 0 && queue.oldest != jobs::WallTime()) {
    object.number("oldestAge",
                  static_cast<std::uint64_t>(std::max<std::int64_t>(0, age.count() / 1'000)));
  }
}

void append_servers(std::string& out,
                    const config::Upstream& upstream,
                    const Generation::Upstream& served) {
  out += '[';
  for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
    if (i != 0) out += ',';
    const Slots& server = *served.servers[i];
    const bool is_out = server.held() || served.outliers->is_ejected(i, jobs::system_clock().now());
    JsonObject object(out);
    object.text("server", upstream.servers[i].authority);
    object.number("calls", server.taken());
    object.boolean("healthy", !is_out);
  }
  out += ']';
}

void append_upstream(std::string& out,
                     const config::Upstream& upstream,
                     const Generation::Upstream& served,
                     const Queue& queue) {
  JsonObject object(out);
  object.text("name", upstream.name);
  append_queue(object, queue);
  object.number("calls", served.slots->taken());
  object.number("maxConcurrency", served.slots->max());
  object.boolean("held", served.slots->held());
  object.boolean("paused", served.slots->paused());
  object.member("servers");
  append_servers(out, upstream, served);
}

void append_route(std::string& out, const SiteRoute& route, const Queue& queue) {
  JsonObject object(out);
  object.text("name", route.config->name);
  append_queue(object, queue);
  object.boolean("paused", route.known->paused);
}

}  // namespace

void Server::show_stats(const OperationReply& reply) {
  std::string stats;
  {
    std::size_t running = 0;
    for (const auto& shard : shards_) running += shard->running();
    JsonObject object(stats);
    object.text("version", RAINCHECK_VERSION);
    object.boolean("draining", draining_);
    object.time("configuredAt", metrics_.reload.succeeded_at);
    object.boolean("lastReloadSuccessful", metrics_.reload.was_successful);
    object.number("pending", static_cast<std::uint64_t>(std::max<std::int64_t>(0, pending_.count)));
    object.number("running", running);
    object.number("storeBytes", store_->backend().bytes());
    object.number("storeLimitBytes", config().store.max_bytes);
    object.number("storeFreeBytes", store_->spool().space().free_bytes());
    object.text_if_set("storeShortage", shortage_of(store_->spool().space()));
    Queues queues(metrics_);
    object.member("upstreams");
    stats += '[';
    for (std::size_t i = 0; i < config().upstreams.size(); ++i) {
      if (i != 0) stats += ',';
      const config::Upstream& upstream = config().upstreams[i];
      append_upstream(stats, upstream, generation_->upstreams()[i],
                      queues.of_upstreams[upstream.name]);
    }
    stats += ']';
    object.member("routes");
    stats += '[';
    for (const SiteRoute& route : generation_->site().routes()) {
      if (!route.has_jobs()) continue;
      if (stats.back() != '[') stats += ',';
      append_route(stats, route, queues.of_routes[route.config->name]);
    }
    stats += ']';
  }
  reply(json_answer(std::move(stats)));
}

// The process ends after this is answered; who waits for that knows it by its number.
void Server::drain(const OperationReply& reply) {
  if (!draining_) {
    spdlog::info("told over the admin socket: draining for {} ms at most",
                 config().shutdown.grace_period.count());
    begin_drain();
  }
  std::string answer;
  {
    JsonObject object(answer);
    object.number("pid", static_cast<std::uint64_t>(::getpid()));
  }
  reply(json_answer(std::move(answer), 202));
}

std::vector<Operation> Server::control_operations() {
  using Pause = void (Server::*)(const OperationRequest&, bool, const OperationReply&);
  const auto pausing = [this](Pause handler, bool paused) {
    return [this, handler, paused](const OperationRequest& request, const OperationReply& reply) {
      (this->*handler)(request, paused, reply);
    };
  };
  return {
      {"GET", "/stats",
       [this](const OperationRequest&, const OperationReply& reply) { show_stats(reply); }},
      {"POST", "/upstreams/{}/pause", pausing(&Server::pause_upstream, true)},
      {"POST", "/upstreams/{}/resume", pausing(&Server::pause_upstream, false)},
      {"POST", "/routes/{}/pause", pausing(&Server::pause_route, true)},
      {"POST", "/routes/{}/resume", pausing(&Server::pause_route, false)},
      {"POST", "/drain",
       [this](const OperationRequest&, const OperationReply& reply) { drain(reply); }},
  };
}

}  // namespace raincheck::proxy
