#include "proxy/shard_generation.hpp"

namespace raincheck::proxy {

using jobs::milliseconds;

ShardGeneration::ShardGeneration(const ShardParts& parts,
                                 std::shared_ptr<const Generation> generation)
    : parts_(parts),
      generation_(std::move(generation)),
      metrics_(parts.metrics, parts.shard, generation_->site()),
      context_{parts.resources, metrics_},
      log_(context_.io, generation_->site().config().access_log, parts.access_logger, parts.secret),
      tasks_(context_.io, context_.timers, &parts.tasks),
      upstreams_(generation_->upstreams().size()),
      serving_{Services{context_, generation_->site(), tasks_, parts.bulletin, log_, parts.entropy,
                        parts.pending, upstreams_, parts.abort_everywhere, parts.draining}} {
  for (std::size_t upstream = 0; upstream < upstreams_.size(); ++upstream) make_upstream(upstream);
}

void ShardGeneration::make_upstream(std::size_t index) {
  const Generation::Upstream& shared = generation_->upstreams()[index];
  ShardUpstream& upstream = upstreams_[index];
  upstream.config = &generation_->site().config().upstreams[index];
  upstream.slots = shared.slots;
  upstream.queue =
      std::make_unique<SlotQueue>(context_.io, context_.timers, *upstream.slots, parts_.shard);
  upstream.pool = std::make_unique<UpstreamPool>(context_, *upstream.config,
                                                 generation_->site().tls().of_upstream(index),
                                                 shared.servers, *shared.outliers, parts_.shard);
  upstream.runner =
      std::make_unique<Runner>(context_, generation_->site(), *upstream.config, *upstream.pool,
                               *upstream.slots, tasks_, parts_.bulletin, log_, events_for(index));
  upstream.inserted = [&parts = parts_, number = shared.number](std::uint32_t lane) {
    parts.tell(number, [lane](Dispatcher& dispatcher) { dispatcher.inserted(lane); });
  };
}

RunnerEvents ShardGeneration::events_for(std::size_t index) const {
  const Generation::Upstream& shared = generation_->upstreams()[index];
  const auto tell = [&parts = parts_, number = shared.number](ShardParts::DispatcherCall call) {
    parts.tell(number, std::move(call));
  };
  Slots* const slots = shared.slots;
  RunnerEvents events;
  events.requeued = [tell](std::uint32_t lane, jobs::WallTime due) {
    tell([lane, due](Dispatcher& dispatcher) { dispatcher.requeued(lane, due); });
  };
  events.unavailable = [tell](milliseconds hold) {
    tell([hold](Dispatcher& dispatcher) { dispatcher.unavailable(hold); });
  };
  events.available = [tell, slots] {
    if (slots->held()) tell([](Dispatcher& dispatcher) { dispatcher.available(); });
  };
  events.skipped = [tell, slots] {
    if (slots->held()) tell([](Dispatcher& dispatcher) { dispatcher.skipped(); });
  };
  events.finished = [&pending = parts_.pending] {
    pending.count.fetch_sub(1, std::memory_order_relaxed);
  };
  return events;
}

void ShardGeneration::start_checks(std::size_t index) {
  const ShardUpstream& upstream = upstreams_[index];
  const Generation::Upstream& shared = generation_->upstreams()[index];
  if (!parts_.owns(shared.number)) return;
  if (upstream.config->health_check.path.empty()) {
    // Checks of an earlier configuration found it down, and nobody would find it up again.
    for (const auto& server : shared.servers) server->hold(false);
    return;
  }
  const jobs::Random random = parts_.entropy.random();
  const std::uint32_t seed = std::uint32_t{random[0]} << 8 | random[1];
  checks_.push_back(std::make_unique<HealthChecks>(
      context_.io, context_.timers, *upstream.config, shared.servers,
      std::make_unique<PoolProbe>(*upstream.pool), seed, [&parts = parts_, number = shared.number] {
        parts.tell(number, [](Dispatcher& dispatcher) { dispatcher.recovered(); });
      }));
  checks_.back()->start(tasks_);
}

void ShardGeneration::begin() {
  for (std::size_t upstream = 0; upstream < upstreams_.size(); ++upstream) start_checks(upstream);
}

void ShardGeneration::retire() {
  for (const auto& checks : checks_) checks->stop();
}

void ShardGeneration::wake(std::size_t number) {
  const auto index = generation_->find(number);
  if (!index) return;
  upstreams_[*index].queue->wake();
  upstreams_[*index].pool->wake();
}

void ShardGeneration::abort(std::int64_t key) {
  for (ShardUpstream& upstream : upstreams_) upstream.runner->abort(key);
}

std::size_t ShardGeneration::running() const {
  std::size_t running = 0;
  for (const ShardUpstream& upstream : upstreams_) running += upstream.runner->running();
  return running;
}

void ShardGeneration::drain() {
  for (ShardUpstream& upstream : upstreams_) upstream.runner->drain();
}

void ShardGeneration::stop() {
  for (ShardUpstream& upstream : upstreams_) {
    upstream.runner->stop();
    upstream.pool->stop();
  }
}

}  // namespace raincheck::proxy
