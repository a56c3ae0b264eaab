// What a shard has for one configuration: connections to its backends, attempts of its jobs, checks
// of its servers, and what its requests are answered with. Owned by the Shard, and by the sessions
// that it serves; lives on the shard. It goes when another serves and nothing of it is under way.
#pragma once

#include <memory>
#include <vector>

#include "proxy/dispatcher.hpp"
#include "proxy/generation.hpp"
#include "proxy/health_checks.hpp"
#include "proxy/session.hpp"

namespace raincheck::proxy {

// What a shard's generations have in common. Owned by the Shard. Upstreams are named by the number
// that theirs has for as long as the process lives.
struct ShardParts {
  ShardResources resources;
  Metrics& metrics;
  Bulletin& bulletin;
  Entropy& entropy;
  Pending& pending;
  TaskGroup& tasks;  // all of the shard
  std::shared_ptr<spdlog::logger> access_logger;
  jobs::IdCodec::Secret secret;
  std::size_t shard;
  const bool& draining;
  // Tells every shard that a running job was canceled.
  std::function<void(std::int64_t key)> abort_everywhere;
  // The upstream's dispatcher and the checks of its servers are on this shard.
  std::function<bool(std::size_t upstream)> owns;
  // Calls an upstream's dispatcher on whatever shard it is: at once if it is this one.
  using DispatcherCall = std::function<void(Dispatcher&)>;
  std::function<void(std::size_t upstream, DispatcherCall call)> tell;
};

class ShardGeneration {
 public:
  ShardGeneration(const ShardParts& parts, std::shared_ptr<const Generation> generation);

  const Generation& generation() const { return *generation_; }
  Serving& serving() { return serving_; }
  std::vector<ShardUpstream>& upstreams() { return upstreams_; }
  ShardMetrics& metrics() { return metrics_; }
  Runner& runner(std::size_t upstream) { return *upstreams_[upstream].runner; }

  // From now on it serves.
  void begin();
  // Another serves: only what is under way goes on.
  void retire();
  bool is_idle() const { return tasks_.size() == 0; }
  // A slot of an upstream, by its number, came free.
  void wake(std::size_t upstream);
  void abort(std::int64_t key);
  std::size_t running() const;
  // The process ends: what goes on by itself is left to the next one.
  void drain();
  // Everything under way is given up.
  void stop();

 private:
  void make_upstream(std::size_t upstream);
  RunnerEvents events_for(std::size_t upstream) const;
  void start_checks(std::size_t upstream);

  const ShardParts& parts_;
  const std::shared_ptr<const Generation> generation_;
  ShardMetrics metrics_;
  const ShardContext context_;
  AccessLog log_;
  TaskGroup tasks_;
  std::vector<ShardUpstream> upstreams_;
  std::vector<std::unique_ptr<HealthChecks>> checks_;
  Serving serving_;
};

}  // namespace raincheck::proxy
