#include "proxy/dispatcher.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace raincheck::proxy {

using jobs::milliseconds;

namespace {

// Jobs taken by one claim: enough to fill a commit, few enough to hold in memory.
constexpr std::uint32_t claim_max = 64;
// Turns in which they are taken, if there are so many lanes.
constexpr std::uint32_t turns_min = 8;
constexpr milliseconds claim_again{250};
// How late a job that waits may be told that its time is over.
constexpr milliseconds overdue_every{500};
// Jobs looked at by one command, and lanes: few enough not to hold up a commit if all of them end.
constexpr std::uint32_t end_look_max = 256;
constexpr std::size_t end_lanes_max = 256;
constexpr milliseconds probe_first{250};
constexpr milliseconds probe_max{15'000};

}  // namespace

Dispatcher::Dispatcher(ShardResources context,
                       Metrics& metrics,
                       TaskGroup& tasks,
                       std::string upstream,
                       Slots& slots,
                       Ended ended,
                       Tell tell,
                       std::size_t shard)
    : context_(context),
      metrics_(metrics),
      tasks_(tasks),
      upstream_(std::move(upstream)),
      slots_(slots),
      ended_(std::move(ended)),
      tell_(std::move(tell)),
      shard_(shard),
      news_(context.io, context.timers),
      went_round_at_(context.timers.now()) {}

void Dispatcher::configure(const Site& site, std::size_t upstream, Runner& runner) {
  runner_ = &runner;
  connect_ = site.config().upstreams[upstream].timeouts.connect;
  request_retention_ = site.config().jobs.retention.failed_request;
  disown_lanes(site);
  for (const SiteLane* const each : site.lanes_of(upstream)) {
    // What is known of a lane is newer than what the site was told when it was made.
    if (!by_number_.contains(each->number)) add(*each);
    Lane& lane = lanes_[by_number_.at(each->number)];
    lane.route = each->route->known;
    lane.owner.reset();
    const config::Async& async = each->route->config->async;
    const milliseconds patience = async.queue_timeout.value_or(async.job_timeout);
    if (lane.patience != patience) lane.looked_to = 0;
    lane.patience = patience;
  }
  give_turns();
  news_.notify();
}

void Dispatcher::disown_lanes(const Site& site) {
  owners_are_ready_ = false;
  for (Lane& lane : lanes_) {
    lane.route = nullptr;
    lane.owner.reset();
    const SiteRoute* const route = site.find(lane.route_name);
    if (route) lane.owner = route->upstream;
  }
}

void Dispatcher::add(const SiteLane& lane) {
  const auto priority = static_cast<std::uint8_t>(lane.name.priority & ~held_lane_mark);
  const std::size_t index = schedule_.add(priority);
  by_number_.emplace(lane.number, index);
  Lane& added = lanes_.emplace_back();
  added.number = lane.number;
  added.route_name = lane.name.route;
  added.shown = &metrics_.queue(upstream_, lane.name.route);
  set(index, {lane.queued, {}});
}

void Dispatcher::remove(const Site& site) {
  runner_ = nullptr;
  held_ = probing_ = false;
  slots_.hold(false);
  disown_lanes(site);
  give_turns();
  news_.notify();
}

void Dispatcher::hand_over() {
  owners_are_ready_ = true;
  for (const Lane& lane : lanes_) {
    if (lane.owner) pass_on(lane, {});
  }
}

// Until its owner is ready, who will hear of the lane then.
void Dispatcher::pass_on(const Lane& lane, jobs::WallTime due) const {
  if (owners_are_ready_) tell_(*lane.owner, lane.number, due);
}

void Dispatcher::pauses_changed() {
  give_turns();
  news_.notify();
}

// To the lanes whose route is there and not paused.
void Dispatcher::give_turns() {
  removed_.clear();
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    const KnownRoute* const route = lanes_[lane].route;
    schedule_.stop(lane, !route || route->paused);
    set(lane, schedule_.of(lane));
  }
}

void Dispatcher::set(std::size_t lane, jobs::Schedule::Queue queue) {
  if (lanes_[lane].owner) queue = {};
  schedule_.set(lane, queue);
  note_removed(lane);
}

void Dispatcher::note_removed(std::size_t lane) {
  const bool has_owner = lanes_[lane].route || lanes_[lane].owner;
  if (has_owner || schedule_.of(lane).count == 0) {
    removed_.erase(lane);
  } else {
    removed_.insert(lane);
  }
}

awaitable<void> Dispatcher::run() {
  while (!stopping_) {
    went_round_at_ = context_.timers.now();
    bool more = false;
    if (!removed_.empty()) more = co_await end_removed();
    if (runner_ && !stopping_) {
      const bool more_due = co_await round();
      more = more || more_due;
    }
    if (stopping_) break;
    if (runner_) {
      if (context_.timers.now() >= overdue_at_ && unlooked_.empty()) find_unlooked();
      const bool more_overdue = co_await end_overdue();
      more = more || more_overdue;
    }
    if (!more) co_await news_.wait(next_time());
  }
}

void Dispatcher::stop() {
  stopping_ = true;
  news_.notify();
}

void Dispatcher::abort() {
  aborted_ = true;
}

void Dispatcher::inserted(std::uint32_t lane) {
  const std::size_t index = by_number_.at(lane);
  if (lanes_[index].owner) return pass_on(lanes_[index], {});
  jobs::Schedule::Queue queue = schedule_.of(index);
  if (queue.count == 0) lanes_[index].oldest = context_.timers.wall_now();
  ++queue.count;
  queue.due = {};
  set(index, queue);
  ++lanes_[index].meanwhile;
  news_.notify();
}

void Dispatcher::requeued(std::uint32_t lane, jobs::WallTime due) {
  const std::size_t index = by_number_.at(lane);
  if (lanes_[index].owner) return pass_on(lanes_[index], due);
  jobs::Schedule::Queue queue = schedule_.of(index);
  queue.due = queue.count == 0 ? due : std::min(queue.due, due);
  ++queue.count;
  set(index, queue);
  ++lanes_[index].meanwhile;
  news_.notify();
}

void Dispatcher::unavailable(milliseconds hold) {
  const TimePoint now = context_.timers.now();
  if (!held_) {
    spdlog::warn("upstream {} takes no calls: its jobs wait", upstream_);
    held_ = true;
    probe_every_ = probe_first;
    held_until_ = now + probe_every_;
    slots_.hold(true);
  } else if (probing_) {
    probe_every_ = std::min(probe_every_ * 2, probe_max);
    held_until_ = now + probe_every_;
  }
  probing_ = false;
  held_until_ = std::max(held_until_, now + hold);
  news_.notify();
}

void Dispatcher::available() {
  // Calls that were under way before say nothing of new ones: only a probe does.
  if (!held_ || !probing_) return;
  spdlog::info("upstream {} takes calls again", upstream_);
  held_ = probing_ = false;
  slots_.hold(false);
  news_.notify();
}

void Dispatcher::recovered() {
  if (!held_ || probing_) return;
  held_until_ = context_.timers.now();
  news_.notify();
}

void Dispatcher::skipped() {
  probing_ = false;
  news_.notify();
}

void Dispatcher::publish() const {
  struct Queue {
    std::uint64_t count = 0;
    jobs::WallTime oldest = jobs::WallTime::max();
  };
  std::unordered_map<QueueMetrics*, Queue> queues;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Queue& queue = queues[lanes_[i].shown];
    const std::uint64_t count = schedule_.of(i).count;
    queue.count += count;
    const bool is_known = count != 0 && lanes_[i].oldest != jobs::WallTime();
    if (is_known) queue.oldest = std::min(queue.oldest, lanes_[i].oldest);
  }
  for (const auto& [metrics, queue] : queues) {
    const bool is_known = queue.oldest != jobs::WallTime::max();
    metrics->queued.set(static_cast<std::int64_t>(queue.count));
    metrics->oldest.set(is_known ? queue.oldest.time_since_epoch().count() : 0);
  }
}

// When to look again without news. While nothing may start, what is due does not matter.
TimePoint Dispatcher::next_time() const {
  const TimePoint now = context_.timers.now();
  TimePoint next = queued() == 0 ? never : std::max(overdue_at_, now + overdue_every / 2);
  if (!removed_.empty()) next = std::min(next, std::max(not_before_, now + claim_again));
  if (!runner_ || slots_.paused()) return next;
  if (held_ && probing_) return std::min(next, probe_taken_at_);
  const TimePoint blocked = held_ ? std::max(not_before_, held_until_) : not_before_;
  if (blocked > now) return std::min(next, blocked);
  // Later than this round looked: what came due since then wakes the next one at once.
  const auto due = schedule_.next_due(looked_at_);
  return due ? std::min(next, now + (*due - context_.timers.wall_now())) : next;
}

// Which jobs are next, `slots` in all at most. A turn is one job, or, where many slots are free at
// once, a share of them: then jobs come and go fast, and those of one lane share pages of the
// store.
Dispatcher::Turns Dispatcher::plan(std::uint32_t slots) {
  Turns planned;
  const std::uint32_t turn_max = std::max<std::uint32_t>(1, slots / turns_min);
  while (slots > 0) {
    const auto turn = schedule_.next(looked_at_, std::min(turn_max, slots));
    if (!turn) break;
    slots -= turn->count;
    const auto same = std::find_if(planned.begin(), planned.end(),
                                   [&turn](const auto& each) { return each.lane == turn->lane; });
    if (same != planned.end()) {
      same->count += turn->count;
    } else {
      planned.push_back(*turn);
    }
  }
  return planned;
}

// One turn: true if another may follow at once. What a claim did not find, because it was canceled
// or is due later, is known after it, and its slots are for the jobs of other lanes.
awaitable<bool> Dispatcher::round() {
  const TimePoint now = context_.timers.now();
  looked_at_ = context_.timers.wall_now();
  // A probe that is neither refused nor answered for so long was taken: its job is just a long one.
  if (probing_ && now >= probe_taken_at_) available();
  if (slots_.paused()) co_return false;
  if (now < not_before_ || (held_ && (probing_ || now < held_until_))) co_return false;
  slots_.set_backlog(schedule_.due_lanes(looked_at_));
  if (!slots_.has_backlog()) co_return false;
  if (!context_.store.may_begin()) {
    not_before_ = now + claim_again;
    co_return false;
  }
  const auto wanted = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(held_ ? 1 : claim_max, schedule_.startable()));
  std::uint32_t slots = slots_.take_up_to(wanted);
  if (slots == 0) {
    slots_.want(shard_);
    slots = slots_.take_up_to(wanted);
    if (slots == 0) co_return false;
  }
  Turns planned = plan(slots);
  slots_.set_backlog(schedule_.due_lanes(looked_at_));
  std::uint32_t count = 0;
  for (const auto& each : planned) count += each.count;
  slots_.give(slots - count);
  probing_ = held_;
  probe_taken_at_ = now + connect_ + probe_first;
  Claimed claimed = co_await claim(std::move(planned));
  slots_.give(count - (claimed ? static_cast<std::uint32_t>(claimed->size()) : 0));
  if (!claimed || claimed->empty()) probing_ = false;
  if (claimed) take(std::move(*claimed));
  co_return claimed.has_value();
}

// Makes them running. Nothing: the store did not answer.
awaitable<Dispatcher::Claimed> Dispatcher::claim(Turns planned) {
  store::Claim command;
  command.now = looked_at_;
  for (const auto& each : planned) {
    store::Claim::Share& share = command.shares.emplace_back();
    share.lane = lanes_[each.lane].number;
    share.count = each.count;
    lanes_[each.lane].meanwhile = 0;
  }
  jobs::Result<store::Claim> claimed = co_await context_.store.apply(std::move(command));
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const std::size_t lane = planned[i].lane;
    if (claimed) {
      learn(lane, claimed->shares[i]);
    } else {
      set(lane, {schedule_.of(lane).count + planned[i].count, {}});
    }
  }
  if (!claimed) {
    not_before_ = context_.timers.now() + claim_again;
    co_return std::nullopt;
  }
  co_return std::move(claimed->jobs);
}

// What was queued while the store was asked may or may not be in its answer: too many is mended by
// the next one, too few would leave a job lying.
void Dispatcher::learn(std::size_t lane, const store::Claim::Share& share) {
  const std::uint64_t meanwhile = lanes_[lane].meanwhile;
  const jobs::WallTime known = schedule_.of(lane).due;
  set(lane, {share.queued + meanwhile, meanwhile == 0 ? share.due : std::min(share.due, known)});
}

void Dispatcher::learn(std::size_t lane, const store::Expire::Share& share) {
  Lane& each = lanes_[lane];
  set(lane, {share.queued + each.meanwhile, schedule_.of(lane).due});
  each.oldest = share.oldest;
  // Unless the configuration has changed meanwhile.
  if (each.patience == share.patience) each.looked_to = share.from;
}

void Dispatcher::find_unlooked() {
  overdue_at_ = context_.timers.now() + overdue_every;
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    if (lanes_[lane].route && schedule_.of(lane).count != 0) unlooked_.push_back(lane);
  }
}

// Jobs whose time is over while they wait end now, not when their turn comes; a few in each turn,
// so that others start meanwhile. True: there may be more.
awaitable<bool> Dispatcher::end_overdue() {
  if (unlooked_.empty()) co_return false;
  std::vector<std::size_t> lanes;
  while (!unlooked_.empty() && lanes.size() < end_lanes_max) {
    if (lanes_[unlooked_.front()].route) lanes.push_back(unlooked_.front());
    unlooked_.pop_front();
  }
  const auto count = co_await end(std::move(lanes), jobs::ErrorType::expired);
  if (!count) unlooked_.clear();
  co_return !unlooked_.empty();
}

// There is nobody to carry them out. True: there may be more.
awaitable<bool> Dispatcher::end_removed() {
  std::vector<std::size_t> lanes(removed_.begin(), removed_.end());
  lanes.resize(std::min(lanes.size(), end_lanes_max));
  const auto count = co_await end(std::move(lanes), jobs::ErrorType::route_removed);
  if (!count) not_before_ = context_.timers.now() + claim_again;
  co_return count&&* count != 0 && !removed_.empty();
}

// Gives how many have ended. Nothing: the store did not answer.
awaitable<std::optional<std::size_t>> Dispatcher::end(std::vector<std::size_t> lanes,
                                                      jobs::ErrorType error) {
  store::Expire command;
  command.error = error;
  command.look_max = end_look_max;
  command.now = context_.timers.wall_now();
  command.request_retention = request_retention_;
  for (const std::size_t lane : lanes) {
    store::Expire::Share& share = command.shares.emplace_back();
    share.lane = lanes_[lane].number;
    if (error == jobs::ErrorType::expired) share.patience = lanes_[lane].patience;
    share.from = lanes_[lane].looked_to;
    lanes_[lane].meanwhile = 0;
  }
  const jobs::Result<store::Expire> ended = co_await context_.store.apply(std::move(command));
  if (!ended) co_return std::nullopt;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (i < ended->done) learn(lanes[i], ended->shares[i]);
    const bool more = i >= ended->done || ended->shares[i].more;
    if (more && lanes_[lanes[i]].route) unlooked_.push_back(lanes[i]);
  }
  for (const jobs::Place& place : ended->ended) {
    ended_(place, lanes_[by_number_.at(place.lane)].route_name, error);
  }
  co_return ended->ended.size();
}

// Jobs that were claimed; each has a slot. Meanwhile the process may have begun to end, or the
// configuration given their lane to another upstream or to none.
void Dispatcher::take(std::vector<jobs::Job> jobs) {
  for (jobs::Job& job : jobs) {
    const Lane& lane = lanes_[by_number_.at(job.id.place.lane)];
    if (lane.route && !stopping_) {
      runner_->start(std::move(job));
    } else {
      slots_.give();
      probing_ = false;
      tasks_.spawn(put_back(std::move(job)));
    }
  }
}

// As it was.
awaitable<void> Dispatcher::put_back(jobs::Job job) {
  store::Requeue command;
  command.fence = store::Fence{job.id.place, job.attempt, 0};
  command.counts = false;
  while (true) {
    command.due_at = context_.timers.wall_now();
    const jobs::Result<store::Requeue> done = co_await context_.store.apply(command);
    if (done && done->applied) requeued(job.id.place.lane, command.due_at);
    if (!done) {
      spdlog::error("a job on route {} could not be put back: {}", job.route, done.error().detail);
    }
    // Left as running it would be taken, after a crash, for one that may have been carried out.
    if (done || aborted_ || !jobs::is_passing(done.error().fault)) co_return;
    Signal pause(context_.io, context_.timers);
    co_await pause.wait(context_.timers.now() + full_disk_pause);
  }
}

}  // namespace raincheck::proxy
