// What operators can have the Server do beside reloading: how it is in numbers, upstreams and
// routes whose jobs wait, and the drain.
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
      if (route.lane == 0) continue;
      if (stats.back() != '[') stats += ',';
      append_route(stats, route, queues.of_routes[route.config->name]);
    }
    stats += ']';
  }
  reply(json_answer(std::move(stats)));
}

namespace {

// Done, whatever it was before.
void tell_paused(const std::string& what, bool paused, const OperationReply& reply) {
  spdlog::warn("{} is {}", what, paused ? "paused: its jobs wait" : "resumed");
  OperationAnswer answer;
  answer.status = 204;
  answer.outcome = paused ? "paused" : "resumed";
  reply(std::move(answer));
}

}  // namespace

// Its slots outlive a reload, and with them that it is paused.
void Server::pause_upstream(const OperationRequest& request,
                            bool paused,
                            const OperationReply& reply) {
  const std::string& name = request.arguments[0];
  const auto& upstreams = config().upstreams;
  const auto found = std::find_if(upstreams.begin(), upstreams.end(),
                                  [&name](const auto& each) { return each.name == name; });
  if (found == upstreams.end()) {
    reply(problem_answer(404, fmt::format("there is no upstream '{}'", name)));
    return;
  }
  const auto index = static_cast<std::size_t>(found - upstreams.begin());
  const Generation::Upstream& upstream = generation_->upstreams()[index];
  upstream.slots->pause(paused);
  for (const auto& wake : wake_for(upstream.number)) wake();
  tell_paused("upstream " + name, paused, reply);
}

// What is known of it outlives a reload, and with it that it is paused.
void Server::pause_route(const OperationRequest& request,
                         bool paused,
                         const OperationReply& reply) {
  const std::string& name = request.arguments[0];
  const SiteRoute* const route = generation_->site().find(name);
  if (!route) {
    reply(problem_answer(404, fmt::format("there is no route '{}'", name)));
    return;
  }
  // Resumed it may be: it may have made jobs when it was paused.
  if (paused && route->lane == 0) {
    reply(problem_answer(409, fmt::format("route '{}' makes no jobs (mode: never)", name)));
    return;
  }
  route->known->paused = paused;
  for (const auto& shard : shards_) shard->pauses_changed();
  tell_paused("route " + name, paused, reply);
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
  const auto pausing = [this](Pause pause, bool paused) {
    return [this, pause, paused](const OperationRequest& request, const OperationReply& reply) {
      (this->*pause)(request, paused, reply);
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
