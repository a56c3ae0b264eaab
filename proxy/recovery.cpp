#include "proxy/recovery.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <stdexcept>

#include "jobs/decide.hpp"

namespace raincheck::proxy {

using jobs::Decision;
using jobs::ErrorType;
using jobs::State;

namespace {

constexpr std::uint32_t batch = 256;

void require(const std::string& doing, bool done, const jobs::Error& error) {
  if (!done) throw std::runtime_error(doing + ": " + error.detail);
}

// When an attempt of this job, given up now, may be made again: with `on_abort: drain` the backend
// may still be at it.
jobs::WallTime due(const Site& site, const jobs::Job& job, jobs::WallTime now) {
  const SiteRoute* const route = site.find(job.route);
  if (!route) return now;
  const config::Upstream& upstream = site.config().upstreams[route->upstream];
  if (upstream.on_abort != config::OnAbort::drain) return now;
  return std::max(now, job.started_at + upstream.abort_hold.value_or(upstream.timeouts.attempt));
}

class Recovery {
 public:
  Recovery(store::Client& client, const Site& site, jobs::WallTime now)
      : client_(client), site_(site), now_(now) {}

  store::awaitable<void> run(const std::vector<store::Backend::Orphan>& orphans);
  Recovered counts;

 private:
  store::awaitable<void> settle(const store::Backend::Orphan& orphan);
  store::awaitable<void> abandon(const store::Lane& lane);

  store::Client& client_;
  const Site& site_;
  const jobs::WallTime now_;
};

store::awaitable<void> Recovery::run(const std::vector<store::Backend::Orphan>& orphans) {
  for (const store::Backend::Orphan& orphan : orphans) co_await settle(orphan);
  for (const store::Lane& lane : site_.abandoned_lanes()) co_await abandon(lane);
}

store::awaitable<void> Recovery::settle(const store::Backend::Orphan& orphan) {
  const store::Fence fence{orphan.job.id.place, orphan.job.attempt, orphan.epoch};
  const Decision decision = jobs::decide_orphan(orphan.job.may_resend, now_);
  if (decision.action == Decision::Action::requeue) {
    store::Requeue command;
    command.fence = fence;
    command.due_at = due(site_, orphan.job, now_);
    command.counts = decision.counts;
    const auto done = co_await client_.apply(std::move(command));
    require("queueing a job again", done.has_value(), done ? jobs::Error() : done.error());
    ++counts.requeued;
    co_return;
  }
  store::Finish command;
  command.fence = fence;
  command.state = decision.state;
  command.error = decision.error;
  command.now = now_;
  const auto done = co_await client_.apply(std::move(command));
  require("ending a job", done.has_value(), done ? jobs::Error() : done.error());
  ++counts.unknown;
}

// Jobs of an upstream that is not configured any more: there is nobody to carry them out.
store::awaitable<void> Recovery::abandon(const store::Lane& lane) {
  while (true) {
    store::Claim claim;
    claim.lane = lane.number;
    claim.count = batch;
    claim.now = jobs::WallTime::max();
    const auto claimed = co_await client_.apply(std::move(claim));
    require("claiming", claimed.has_value(), claimed ? jobs::Error() : claimed.error());
    if (claimed->jobs.empty()) co_return;
    for (const jobs::Job& job : claimed->jobs) {
      store::Finish command;
      command.fence = store::Fence{job.id.place, job.attempt, 0};
      command.state = State::failed;
      command.error = ErrorType::route_removed;
      command.now = now_;
      const auto done = co_await client_.apply(std::move(command));
      require("ending a job", done.has_value(), done ? jobs::Error() : done.error());
      ++counts.abandoned;
    }
  }
}

}  // namespace

Recovered recover_jobs(store::Store& store, const Site& site) {
  const jobs::WallTime now = jobs::system_clock().wall_now();
  const std::vector<store::Backend::Orphan> orphans = store.backend().orphans();
  boost::asio::io_context io(1);
  store::Client client(store, io);
  Recovery recovery(client, site, now);
  std::exception_ptr failure;
  // The store answers from its own threads: the guard keeps run() waiting for it.
  auto work = boost::asio::make_work_guard(io);
  boost::asio::co_spawn(io, recovery.run(orphans), [&](const std::exception_ptr& error) {
    failure = error;
    work.reset();
  });
  io.run();
  if (failure) std::rethrow_exception(failure);
  for (const store::Backend::Orphan& orphan : orphans) {
    const SiteRoute* const route = site.find(orphan.job.route);
    const jobs::WallTime until = due(site, orphan.job, now);
    if (route && until > now) recovery.counts.held.push_back({route->upstream, until - now});
  }
  recovery.counts.queued = site.queued() - recovery.counts.abandoned + recovery.counts.requeued;
  return recovery.counts;
}

}  // namespace raincheck::proxy
