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
constexpr std::uint32_t overdue_look_max = 256;
constexpr std::size_t overdue_lanes_max = 256;
constexpr milliseconds probe_first{250};
constexpr milliseconds probe_max{15'000};

}  // namespace

Dispatcher::Dispatcher(ShardResources context,
                       Metrics& metrics,
                       TaskGroup& tasks,
                       std::string upstream,
                       Slots& slots,
                       Ended ended,
                       std::size_t shard)
    : context_(context),
      metrics_(metrics),
      tasks_(tasks),
      upstream_(std::move(upstream)),
      slots_(slots),
      ended_(std::move(ended)),
      shard_(shard),
      news_(context.io, context.timers),
      went_round_at_(context.timers.now()) {}

void Dispatcher::configure(const Site& site, std::size_t upstream, Runner& runner) {
  runner_ = &runner;
  connect_ = site.config().upstreams[upstream].timeouts.connect;
  request_retention_ = site.config().jobs.retention.failed_request;
  for (Lane& lane : lanes_) lane.route = nullptr;
  for (const SiteLane* const each : site.lanes_of(upstream)) {
    const auto found = by_number_.find(each->number);
    // What is known of a lane is newer than what the site was told when it was made.
    Lane& lane = lanes_[found == by_number_.end() ? add(*each) : found->second];
    lane.route = each->route->known;
    const config::Async& async = each->route->config->async;
    const milliseconds patience = async.queue_timeout.value_or(async.job_timeout);
    if (lane.patience != patience) lane.looked_to = 0;
    lane.patience = patience;
  }
  give_turns();
  news_.notify();
}

std::size_t Dispatcher::add(const SiteLane& lane) {
  const auto priority = static_cast<std::uint8_t>(lane.name.priority & ~held_lane_mark);
  const std::size_t index = schedule_.add(priority);
  by_number_.emplace(lane.number, index);
  Lane& added = lanes_.emplace_back();
  added.number = lane.number;
  added.shown = &metrics_.queue(upstream_, lane.name.route);
  set(index, {lane.queued, {}});
  return index;
}

void Dispatcher::remove() {
  runner_ = nullptr;
  held_ = probing_ = false;
  slots_.hold(false);
  for (Lane& lane : lanes_) lane.route = nullptr;
  give_turns();
  news_.notify();
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
    note_removed(lane);
  }
}

void Dispatcher::set(std::size_t lane, jobs::Schedule::Queue queue) {
  schedule_.set(lane, queue);
  note_removed(lane);
}

void Dispatcher::note_removed(std::size_t lane) {
  if (lanes_[lane].route || schedule_.of(lane).count == 0) {
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

void Dispatcher::inserted(std::uint32_t lane) {
  const std::size_t index = by_number_.at(lane);
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
  Claimed claimed = co_await claim(std::move(planned), looked_at_);
  slots_.give(count - (claimed ? static_cast<std::uint32_t>(claimed->size()) : 0));
  if (!claimed || claimed->empty()) probing_ = false;
  if (claimed) take(std::move(*claimed));
  co_return claimed.has_value();
}

// Makes them running. Nothing: the store did not answer.
awaitable<Dispatcher::Claimed> Dispatcher::claim(Turns planned, jobs::WallTime now) {
  store::Claim command;
  command.now = now;
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
  if (share.more) unlooked_.push_back(lane);
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
  store::Expire command;
  command.look_max = overdue_look_max;
  command.now = context_.timers.wall_now();
  command.request_retention = request_retention_;
  for (const std::size_t lane : unlooked_) {
    if (command.shares.size() == overdue_lanes_max) break;
    store::Expire::Share& share = command.shares.emplace_back();
    share.lane = lanes_[lane].number;
    share.patience = lanes_[lane].patience;
    share.from = lanes_[lane].looked_to;
    lanes_[lane].meanwhile = 0;
  }
  const jobs::Result<store::Expire> expired = co_await context_.store.apply(std::move(command));
  if (!expired) {
    unlooked_.clear();
    co_return false;
  }
  for (std::size_t i = 0; i < expired->done; ++i) {
    const std::size_t lane = unlooked_.front();
    unlooked_.pop_front();
    learn(lane, expired->shares[i]);
  }
  for (std::size_t i = 0; i < expired->ended.size(); ++i) {
    ended_(expired->ended[i], expired->routes[i], jobs::ErrorType::expired);
  }
  co_return !unlooked_.empty();
}

// Jobs that were claimed; each has a slot.
void Dispatcher::take(std::vector<jobs::Job> jobs) {
  for (jobs::Job& job : jobs) {
    if (!runner_) {
      slots_.give();
      tasks_.spawn(end_removed(std::move(job)));
    } else if (stopping_) {
      slots_.give();
      runner_->give_back(std::move(job));
    } else {
      runner_->start(std::move(job));
    }
  }
}

Dispatcher::Turns Dispatcher::plan_removed() {
  Turns planned;
  std::uint32_t room = claim_max;
  for (const std::size_t lane : removed_) {
    const std::uint64_t waiting = schedule_.of(lane).count;
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(waiting, room));
    planned.push_back({lane, count});
    room -= count;
    if (room == 0) break;
  }
  for (const auto& each : planned) {
    set(each.lane, {schedule_.of(each.lane).count - each.count, {}});
  }
  return planned;
}

// There is nobody to carry them out: all that are queued end, whatever they wait for. True: there
// may be more.
awaitable<bool> Dispatcher::end_removed() {
  Turns planned = plan_removed();
  Claimed claimed = co_await claim(std::move(planned), jobs::WallTime::max());
  if (!claimed) co_return false;
  // The next claim is answered after these.
  for (jobs::Job& job : *claimed) tasks_.spawn(end_removed(std::move(job)));
  co_return !claimed->empty();
}

awaitable<void> Dispatcher::end_removed(jobs::Job job) {
  store::Finish command;
  command.fence = store::Fence{job.id.place, job.attempt, 0};
  command.error = jobs::ErrorType::route_removed;
  command.request_retention = request_retention_;
  while (true) {
    command.now = context_.timers.wall_now();
    const jobs::Result<store::Finish> finished = co_await context_.store.apply(command);
    if (finished && finished->applied) ended_(job.id.place, job.route, command.error);
    // Held as running it would be taken, after a crash, for one that may have been carried out.
    if (finished || stopping_ || !jobs::is_passing(finished.error().fault)) co_return;
    Signal pause(context_.io, context_.timers);
    co_await pause.wait(context_.timers.now() + full_disk_pause);
  }
}

}  // namespace raincheck::proxy
