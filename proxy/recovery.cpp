#include "proxy/recovery.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include "jobs/decide.hpp"
#include "jobs/history.hpp"
#include "jobs/monitor.hpp"

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

// Of the first job of a lane.
store::Claim claim(std::uint32_t lane, jobs::WallTime now) {
  store::Claim claim;
  store::Claim::Share& share = claim.shares.emplace_back();
  share.lane = lane;
  share.count = 1;
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
  bool may_follow(const jobs::Job& job) const;
  jobs::WallTime hold(const jobs::Job& job);

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
    if (may_follow(orphan.job)) commands.emplace_back(claim(lane, now_));
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
    const std::size_t upstream = site_.lane(claim->shares.front().lane)->route->upstream;
    for (jobs::Job& job : claim->jobs) counts.followed.push_back({upstream, std::move(job)});
  }
  commands.clear();
}

Command Recovery::settled(const Backend::Orphan& orphan) {
  const store::Fence fence{orphan.job.id.place, orphan.job.attempt, orphan.epoch};
  // A backend that goes on with a call is asked at once, before all that waits.
  const bool is_followed = may_follow(orphan.job);
  const jobs::WallTime until = is_followed ? jobs::WallTime() : hold(orphan.job);
  // What was followed is never sent again.
  const bool may_resend = orphan.job.may_resend && orphan.job.monitor.empty();
  const Decision decision = jobs::decide_orphan(may_resend, is_followed, now_);
  if (decision.action == Decision::Action::finish) {
    ++counts.unknown;
    store::Finish finish;
    finish.fence = fence;
    finish.state = State::failed;
    finish.error = decision.error;
    finish.now = now_;
    finish.request_retention = site_.config().jobs.retention.failed_request;
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

// A backend goes on with the call, and its route's upstream is the one that has it: perhaps under
// another name, but never another's, who would be asked for what it does not know.
bool Recovery::may_follow(const jobs::Job& job) const {
  const SiteLane& lane = *site_.lane(job.id.place.lane);
  const auto monitor = jobs::Monitor::parse(job.monitor);
  if (!monitor || !lane.route) return false;
  const auto& servers = site_.config().upstreams[lane.route->upstream].servers;
  const bool is_there = std::any_of(
      servers.begin(), servers.end(),
      [&monitor](const config::Server& server) { return server.authority == monitor->server; });
  return is_there || lane.queued_for == lane.route->upstream;
}

// With `on_abort: drain` the backend may still be at an attempt that is given up now: until when it
// keeps its slot. Where that was made is not recorded: at the upstream that the job was queued for
// or, if its route has another since, at that.
jobs::WallTime Recovery::hold(const jobs::Job& job) {
  const SiteLane& lane = *site_.lane(job.id.place.lane);
  std::set<std::size_t> upstreams{lane.queued_for};
  if (lane.route) upstreams.insert(lane.route->upstream);
  jobs::WallTime last = now_;
  for (const std::size_t each : upstreams) {
    if (each >= site_.config().upstreams.size()) continue;
    const config::Upstream& upstream = site_.config().upstreams[each];
    const jobs::WallTime until = job.started_at + upstream.hold();
    if (upstream.on_abort != config::OnAbort::drain || until <= now_) continue;
    counts.held.push_back({each, until - now_});
    last = std::max(last, until);
  }
  return last;
}

// There is nobody to carry its jobs out.
void Recovery::abandon(const store::Lane& lane) {
  std::vector<Command> commands(1);
  auto& expire = commands.front().emplace<store::Expire>();
  expire.shares.emplace_back().lane = lane.number;
  expire.error = ErrorType::route_removed;
  expire.look_max = batch_max;
  expire.now = now_;
  expire.request_retention = site_.config().jobs.retention.failed_request;
  do {
    tell_("ending jobs whose route is not configured any more, " +
          std::to_string(counts.abandoned) + " are done");
    apply(backend_, commands);
    counts.abandoned += expire.ended.size();
  } while (expire.shares.front().queued != 0 && !expire.ended.empty());
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
