#include "proxy/recovery.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "jobs/decide.hpp"
#include "jobs/history.hpp"

namespace raincheck::proxy {

using jobs::Decision;
using jobs::ErrorType;
using jobs::State;
using store::Backend;
using store::Command;

namespace {

// Commands in one transaction.
constexpr std::uint32_t batch_max = 256;
// On a full disk, each of which gives up a part of the store's reserve.
constexpr int full_disk_tries = 4;

// When an attempt of this job, given up now, may be made again: with `on_abort: drain` the backend
// may still be at it.
jobs::WallTime due(const Site& site, const jobs::Job& job, jobs::WallTime now) {
  // Not that of its route, which may have another by now.
  const SiteLane& lane = *site.lane(job.id.place.lane);
  if (!lane.route) return now;
  const config::Upstream& upstream = site.config().upstreams[lane.upstream];
  if (upstream.on_abort != config::OnAbort::drain) return now;
  return std::max(now, job.started_at + upstream.hold());
}

// How long the attempt went on, and what came of it, nobody knows.
std::string history_with_loss(const jobs::Job& job) {
  jobs::PastAttempt attempt;
  attempt.number = job.attempt;
  attempt.began = job.started_at - job.created_at;
  attempt.reason = "lost";
  std::string history = job.history;
  jobs::append_attempt(history, attempt);
  return history;
}

bool is_full(const jobs::Result<void>& applied) {
  return !applied && applied.error().fault == jobs::Fault::store_full;
}

store::Claim claim(std::uint32_t lane, std::uint32_t count, jobs::WallTime now) {
  store::Claim claim;
  store::Claim::Share& share = claim.shares.emplace_back();
  share.lane = lane;
  share.count = count;
  claim.now = now;
  return claim;
}

void apply(Backend& backend, std::vector<Command>& commands) {
  std::vector<Command*> batch;
  batch.reserve(commands.size());
  for (Command& command : commands) batch.push_back(&command);
  jobs::Result<void> applied = backend.apply(batch);
  for (int i = 0; i < full_disk_tries && is_full(applied); ++i) applied = backend.apply(batch);
  if (!applied) {
    throw std::runtime_error("jobs of an earlier process cannot be settled: " +
                             applied.error().detail);
  }
}

using Tell = std::function<void(const std::string&)>;

class Recovery {
 public:
  Recovery(Backend& backend, const Site& site, jobs::WallTime now, const Tell& tell)
      : backend_(backend), site_(site), now_(now), tell_(tell) {}

  void settle(const std::vector<Backend::Orphan>& orphans);
  void abandon(const store::Lane& lane);

  Recovered counts;

 private:
  void flush(std::vector<Command>& commands);
  Command settled(const Backend::Orphan& orphan);
  store::Finish failed(const store::Fence& fence, ErrorType error) const;

  Backend& backend_;
  const Site& site_;
  const jobs::WallTime now_;
  const Tell& tell_;
};

void Recovery::settle(const std::vector<Backend::Orphan>& orphans) {
  std::vector<Command> commands;
  std::size_t settled_count = 0;
  for (const Backend::Orphan& orphan : orphans) {
    if (settled_count++ % batch_max == 0) {
      tell_("recovering, " + std::to_string(orphans.size() - settled_count + 1) +
            " running jobs are left");
    }
    commands.push_back(settled(orphan));
    const std::uint32_t lane = orphan.job.id.place.lane;
    // It has just become the first of its lane, and is running again without having been queued for
    // anybody to see.
    const bool is_followed = !orphan.job.monitor.empty() && site_.lane(lane)->route;
    if (is_followed) commands.emplace_back(claim(lane, 1, now_));
    if (commands.size() >= batch_max) flush(commands);
  }
  flush(commands);
}

void Recovery::flush(std::vector<Command>& commands) {
  if (commands.empty()) return;
  apply(backend_, commands);
  for (Command& command : commands) {
    auto* const claim = std::get_if<store::Claim>(&command);
    if (!claim) continue;
    const std::size_t upstream = site_.lane(claim->shares.front().lane)->upstream;
    for (jobs::Job& job : claim->jobs) counts.followed.push_back({upstream, std::move(job)});
  }
  commands.clear();
}

Command Recovery::settled(const Backend::Orphan& orphan) {
  const store::Fence fence{orphan.job.id.place, orphan.job.attempt, orphan.epoch};
  // A backend that goes on with a call is asked at once, before all that waits.
  const bool is_followed = !orphan.job.monitor.empty();
  const jobs::WallTime until = is_followed ? jobs::WallTime() : due(site_, orphan.job, now_);
  if (until > now_) {
    counts.held.push_back({site_.lane(orphan.job.id.place.lane)->upstream, until - now_});
  }
  const Decision decision = jobs::decide_orphan(orphan.job.may_resend, is_followed, now_);
  if (decision.action == Decision::Action::finish) {
    ++counts.unknown;
    store::Finish finish = failed(fence, decision.error);
    finish.history = history_with_loss(orphan.job);
    return finish;
  }
  ++counts.requeued;
  store::Requeue requeue;
  requeue.fence = fence;
  // Not later than its own time, or nobody would see when that is over.
  requeue.due_at = std::min(until, std::max(now_, orphan.job.finish_by));
  requeue.counts = decision.counts;
  if (!is_followed) requeue.history = history_with_loss(orphan.job);
  return requeue;
}

store::Finish Recovery::failed(const store::Fence& fence, ErrorType error) const {
  store::Finish finish;
  finish.fence = fence;
  finish.state = State::failed;
  finish.error = error;
  finish.now = now_;
  finish.request_retention = site_.config().jobs.retention.failed_request;
  return finish;
}

// There is nobody to carry its jobs out.
void Recovery::abandon(const store::Lane& lane) {
  while (true) {
    tell_("ending jobs whose route or upstream is not configured any more, " +
          std::to_string(counts.abandoned) + " are done");
    std::vector<Command> commands;
    commands.emplace_back(claim(lane.number, batch_max, jobs::WallTime::max()));
    apply(backend_, commands);
    const auto claimed = std::get<store::Claim>(std::move(commands.front()));
    if (claimed.jobs.empty()) return;
    commands.clear();
    for (const jobs::Job& job : claimed.jobs) {
      const store::Fence fence{job.id.place, job.attempt, 0};
      commands.push_back(failed(fence, ErrorType::route_removed));
    }
    apply(backend_, commands);
    counts.abandoned += claimed.jobs.size();
  }
}

}  // namespace

Recovered recover_jobs(Backend& backend, Site& site, const jobs::Clock& clock, const Tell& tell) {
  tell("looking for jobs that were running");
  Recovery recovery(backend, site, clock.wall_now(), tell);
  auto orphans = backend.orphans();
  while (!orphans.empty()) {
    recovery.settle(orphans);
    orphans = backend.orphans(orphans.back().job.id.place);
  }
  site.count_lanes(backend);
  for (const SiteLane& lane : site.lanes()) {
    if (!lane.route && lane.queued != 0) recovery.abandon(lane);
  }
  if (recovery.counts.abandoned != 0) site.count_lanes(backend);
  recovery.counts.queued = site.queued() + recovery.counts.followed.size();
  return std::move(recovery.counts);
}

}  // namespace raincheck::proxy
