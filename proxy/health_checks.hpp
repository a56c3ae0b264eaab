// Active checks (`health_check`) of the servers of one upstream: one coroutine for each server, on
// the shard that owns the upstream. What they find is in the servers' Slots, where every shard sees
// it: a server that is down is held. A new server is up until checks have failed; of another these
// go on from what earlier ones found.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proxy/task_group.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

// What the checks so far say of one server.
class Health {
 public:
  Health(const config::HealthCheck& settings, bool is_up) : settings_(settings), is_up_(is_up) {}

  bool is_up() const { return is_up_; }
  // Takes what one check found. True: the server is not any more what it was.
  bool observe(bool is_well);

 private:
  const config::HealthCheck& settings_;
  bool is_up_;
  std::uint32_t in_row_ = 0;  // checks that spoke against that
};

// From 90 to 110 % of `interval`, so that the checks of many do not come at the same moment.
jobs::milliseconds jittered(jobs::milliseconds interval, std::uint32_t random);

// Checks one server; tests script another.
class HealthProbe {
 public:
  virtual ~HealthProbe() = default;
  // Empty: the server is well; else what is wrong, for the log. `abort` and `server` outlive it.
  virtual awaitable<std::string> check(std::size_t server,
                                       TimePoint deadline,
                                       AbortRequest& abort) = 0;
};

// Asks over a connection of its own, which takes none of the servers' slots.
class PoolProbe final : public HealthProbe {
 public:
  explicit PoolProbe(UpstreamPool& pool) : pool_(pool) {}
  awaitable<std::string> check(std::size_t server,
                               TimePoint deadline,
                               AbortRequest& abort) override;

 private:
  awaitable<jobs::Result<void>> ask(UpstreamConnection& connection);

  UpstreamPool& pool_;
};

class HealthChecks {
 public:
  // `recovered` is called when a server is up after none was.
  HealthChecks(boost::asio::io_context& io,
               Timers& timers,
               const config::Upstream& upstream,
               const ServerSlots& slots,
               std::unique_ptr<HealthProbe> probe,
               std::uint32_t seed,
               std::function<void()> recovered);
  ~HealthChecks();

  void start(TaskGroup& tasks);
  // Checks that run are broken off; what was found stays.
  void stop();

 private:
  struct Watched;

  awaitable<void> watch(std::size_t server);
  void tell(std::size_t server, const std::string& why);

  Timers& timers_;
  const config::Upstream& upstream_;
  const ServerSlots& slots_;
  const std::unique_ptr<HealthProbe> probe_;
  const std::function<void()> recovered_;
  std::minstd_rand random_;
  std::vector<std::unique_ptr<Watched>> servers_;
  std::size_t up_ = 0;
  bool stopping_ = false;
};

}  // namespace raincheck::proxy
