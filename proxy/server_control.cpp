// What operators can have the Server do beside reloading: how it is in numbers, upstreams whose
// jobs wait, and the drain.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "jobs/json_object.hpp"
#include "proxy/server.hpp"

namespace raincheck::proxy {

using jobs::JsonObject;

namespace {

struct Queue {
  std::uint64_t queued = 0;
  jobs::WallTime oldest{};  // epoch: none waits for its first attempt, or it is not known yet
};

// Of all priorities of an upstream.
Queue queue_of(Metrics& metrics, const std::string& upstream) {
  Queue queue;
  const std::lock_guard lock(metrics.mutex);
  for (const auto& [names, lane] : metrics.lanes) {
    if (names.first != upstream) continue;
    queue.queued += static_cast<std::uint64_t>(lane->queued.value());
    const jobs::WallTime oldest{jobs::milliseconds(lane->oldest.value())};
    const bool is_first = queue.oldest == jobs::WallTime() || oldest < queue.oldest;
    if (oldest != jobs::WallTime() && is_first) queue.oldest = oldest;
  }
  return queue;
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
  object.number("queued", queue.queued);
  const auto age = jobs::system_clock().wall_now() - queue.oldest;
  if (queue.queued != 0 && queue.oldest != jobs::WallTime()) {
    object.number("oldestAge",
                  static_cast<std::uint64_t>(std::max<std::int64_t>(0, age.count() / 1'000)));
  }
  object.number("calls", served.slots->taken());
  object.number("maxConcurrency", served.slots->max());
  object.boolean("held", served.slots->held());
  object.boolean("paused", served.slots->paused());
  object.member("servers");
  append_servers(out, upstream, served);
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
    object.member("upstreams");
    stats += '[';
    for (std::size_t i = 0; i < config().upstreams.size(); ++i) {
      if (i != 0) stats += ',';
      const config::Upstream& upstream = config().upstreams[i];
      append_upstream(stats, upstream, generation_->upstreams()[i],
                      queue_of(metrics_, upstream.name));
    }
    stats += ']';
  }
  reply(json_answer(std::move(stats)));
}

// Its slots outlive a reload, and with them that it is paused.
void Server::pause(const OperationRequest& request, bool paused, const OperationReply& reply) {
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
  spdlog::warn("upstream {} is {}", name, paused ? "paused: its jobs wait" : "resumed");
  OperationAnswer answer;
  answer.status = 204;
  answer.outcome = paused ? "paused" : "resumed";
  reply(std::move(answer));
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
  const auto pausing = [this](bool paused) {
    return [this, paused](const OperationRequest& request, const OperationReply& reply) {
      pause(request, paused, reply);
    };
  };
  return {
      {"GET", "/stats",
       [this](const OperationRequest&, const OperationReply& reply) { show_stats(reply); }},
      {"POST", "/upstreams/{}/pause", pausing(true)},
      {"POST", "/upstreams/{}/resume", pausing(false)},
      {"POST", "/drain",
       [this](const OperationRequest&, const OperationReply& reply) { drain(reply); }},
  };
}

}  // namespace raincheck::proxy
