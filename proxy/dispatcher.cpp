#include "proxy/dispatcher.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace raincheck::proxy {

using jobs::milliseconds;

namespace {

// Jobs taken by one claim: enough to fill a commit, few enough to hold in memory.
constexpr std::uint32_t claim_max = 64;
constexpr milliseconds claim_again{250};
// How late a job that waits may be told that its time is over.
constexpr milliseconds overdue_every{500};
// Jobs looked at by one command: few enough not to hold up a commit if all of them end.
constexpr std::uint32_t overdue_look_max = 256;
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
  for (const store::Lane& lane : site.lanes(upstream)) {
    const std::size_t index = index_of(lane.number);
    // What is known of a lane is newer than what the site was told when it was made.
    if (index == lanes_.size()) {
      numbers_.push_back(lane.number);
      cursors_.emplace_back();
      jobs::LaneState& state = lanes_.emplace_back();
      state.queued = lane.queued;
      const auto priority = static_cast<std::uint8_t>(lane.priority & ~held_lane_mark);
      state.priority = priority;
      shown_.push_back(&metrics_.lane(upstream_, priority));
      oldest_.emplace_back();
    }
    std::vector<store::Expire::Cursor> cursors;
    for (const milliseconds wait : site.shorter_waits(lane.number)) {
      const auto same = std::find_if(cursors_[index].begin(), cursors_[index].end(),
                                     [wait](const auto& each) { return each.patience == wait; });
      cursors.push_back(same == cursors_[index].end() ? store::Expire::Cursor{wait} : *same);
    }
    cursors_[index] = std::move(cursors);
  }
  news_.notify();
}

void Dispatcher::remove() {
  runner_ = nullptr;
  held_ = probing_ = false;
  slots_.hold(false);
  news_.notify();
}

awaitable<void> Dispatcher::run() {
  while (!stopping_) {
    went_round_at_ = context_.timers.now();
    bool more = false;
    if (runner_) {
      more = co_await round();
    } else {
      more = co_await end_removed();
    }
    if (stopping_) break;
    if (runner_ && context_.timers.now() >= overdue_at_ && queued() != 0) {
      const bool more_overdue = co_await end_overdue();
      if (!more_overdue) overdue_at_ = context_.timers.now() + overdue_every;
      more = more || more_overdue;
    }
    if (!more) co_await news_.wait(next_time());
  }
}

void Dispatcher::stop() {
  stopping_ = true;
  news_.notify();
}

std::size_t Dispatcher::index_of(std::uint32_t lane) {
  const auto found = std::find(numbers_.begin(), numbers_.end(), lane);
  return static_cast<std::size_t>(found - numbers_.begin());
}

void Dispatcher::inserted(std::uint32_t lane) {
  const std::size_t index = index_of(lane);
  jobs::LaneState& state = lanes_[index];
  if (state.queued == 0) oldest_[index] = context_.timers.wall_now();
  ++state.queued;
  state.next_due = {};
  news_.notify();
}

void Dispatcher::requeued(std::uint32_t lane, jobs::WallTime due) {
  jobs::LaneState& state = lanes_[index_of(lane)];
  state.next_due = state.queued == 0 ? due : std::min(state.next_due, due);
  ++state.queued;
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

std::uint64_t Dispatcher::queued() const {
  std::uint64_t queued = 0;
  for (const jobs::LaneState& lane : lanes_) queued += lane.queued;
  return queued;
}

// Lanes of one priority are shown as one.
void Dispatcher::publish() const {
  for (std::size_t first = 0; first < lanes_.size(); ++first) {
    if (std::find(shown_.begin(), shown_.end(), shown_[first]) !=
        shown_.begin() + static_cast<std::ptrdiff_t>(first)) {
      continue;
    }
    std::uint64_t queued = 0;
    jobs::WallTime oldest = jobs::WallTime::max();
    for (std::size_t lane = first; lane < lanes_.size(); ++lane) {
      if (shown_[lane] != shown_[first] || lanes_[lane].queued == 0) continue;
      queued += lanes_[lane].queued;
      if (oldest_[lane] != jobs::WallTime()) oldest = std::min(oldest, oldest_[lane]);
    }
    const bool is_known = oldest != jobs::WallTime::max();
    shown_[first]->queued.set(static_cast<std::int64_t>(queued));
    shown_[first]->oldest.set(is_known ? oldest.time_since_epoch().count() : 0);
  }
}

// When to look again without news. While nothing may start, what is due does not matter.
TimePoint Dispatcher::next_time() const {
  const TimePoint now = context_.timers.now();
  if (!runner_) return queued() == 0 ? never : std::max(not_before_, now + claim_again);
  TimePoint next = queued() == 0 ? never : std::max(overdue_at_, now + overdue_every / 2);
  if (slots_.paused()) return next;
  if (held_ && probing_) return std::min(next, probe_taken_at_);
  const TimePoint blocked = held_ ? std::max(not_before_, held_until_) : not_before_;
  if (blocked > now) return std::min(next, blocked);
  const jobs::WallTime wall = context_.timers.wall_now();
  for (const jobs::LaneState& lane : lanes_) {
    // Later than this round looked: what came due since then wakes the next one at once.
    if (lane.queued != 0 && lane.next_due > looked_at_) {
      next = std::min(next, now + (lane.next_due - wall));
    }
  }
  return next;
}

// How many jobs of each lane are next, `slots` in all at most.
std::vector<std::uint32_t> Dispatcher::plan(std::uint32_t slots) {
  std::vector<std::uint32_t> counts(lanes_.size());
  for (std::uint32_t i = 0; i < slots; ++i) {
    const auto lane = jobs::next_lane(lanes_, looked_at_);
    if (!lane) break;
    ++counts[*lane];
    --lanes_[*lane].queued;
  }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) lanes_[lane].queued += counts[lane];
  return counts;
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
  const auto wanted =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(held_ ? 1 : claim_max, queued()));
  if (wanted == 0) co_return false;
  if (!context_.store.may_begin()) {
    not_before_ = now + claim_again;
    co_return false;
  }
  std::uint32_t slots = slots_.take_up_to(wanted);
  if (slots == 0) {
    slots_.want(shard_);
    slots = slots_.take_up_to(wanted);
    if (slots == 0) co_return false;
  }
  const std::vector<std::uint32_t> counts = plan(slots);
  std::uint32_t planned = 0;
  for (const std::uint32_t count : counts) planned += count;
  slots_.give(slots - planned);
  probing_ = held_ && planned != 0;
  probe_taken_at_ = now + connect_ + probe_first;
  bool started = false;
  bool learned = false;
  for (std::size_t lane = 0; lane < counts.size(); ++lane) {
    if (counts[lane] == 0) continue;
    const std::optional<std::size_t> came = co_await claim(lane, counts[lane]);
    started = started || came.value_or(0) != 0;
    learned = learned || came;
  }
  if (!started) probing_ = false;
  co_return learned;
}

// Jobs whose time is over while they wait end now, not when their turn comes; a few in each turn,
// so that others start meanwhile. True: there may be more.
awaitable<bool> Dispatcher::end_overdue() {
  bool more = false;
  for (std::size_t lane = 0; lane < lanes_.size() && !stopping_; ++lane) {
    if (lanes_[lane].queued == 0) continue;
    const bool more_in_lane = co_await end_overdue(lane);
    more = more || more_in_lane;
  }
  co_return more;
}

// True: there may be more of them.
awaitable<bool> Dispatcher::end_overdue(std::size_t lane) {
  store::Expire command;
  command.lane = numbers_[lane];
  command.look_max = overdue_look_max;
  command.now = context_.timers.wall_now();
  command.request_retention = request_retention_;
  command.cursors = cursors_[lane];
  const jobs::Result<store::Expire> expired = co_await context_.store.apply(std::move(command));
  if (!expired) co_return false;
  take_cursors(lane, expired->cursors);
  lanes_[lane].queued -= std::min<std::uint64_t>(lanes_[lane].queued, expired->ended.size());
  oldest_[lane] = expired->oldest;
  for (std::size_t i = 0; i < expired->ended.size(); ++i) {
    ended_(expired->ended[i], expired->routes[i], jobs::ErrorType::expired);
  }
  co_return expired->more;
}

// Those that are still wanted: the configuration may have changed meanwhile.
void Dispatcher::take_cursors(std::size_t lane, const std::vector<store::Expire::Cursor>& moved) {
  for (store::Expire::Cursor& cursor : cursors_[lane]) {
    const auto same = std::find_if(moved.begin(), moved.end(), [&cursor](const auto& each) {
      return each.patience == cursor.patience;
    });
    if (same != moved.end()) cursor.from = same->from;
  }
}

// How many came; nothing: the store did not answer.
awaitable<std::optional<std::size_t>> Dispatcher::claim(std::size_t lane, std::uint32_t count) {
  store::Claim command;
  command.lane = numbers_[lane];
  command.count = count;
  command.now = context_.timers.wall_now();
  const std::uint64_t before = lanes_[lane].queued;
  jobs::Result<store::Claim> claimed = co_await context_.store.apply(std::move(command));
  if (!claimed) {
    slots_.give(count);
    not_before_ = context_.timers.now() + claim_again;
    co_return std::nullopt;
  }
  const auto got = static_cast<std::uint32_t>(claimed->jobs.size());
  slots_.give(count - got);
  // What was inserted while the claim was on its way may or may not be in its count: too many is
  // mended by the next claim, too few would leave a job lying.
  jobs::LaneState& state = lanes_[lane];
  const std::uint64_t meanwhile = state.queued - std::min(state.queued, before);
  state.queued = claimed->queued + meanwhile;
  if (got < count && meanwhile == 0) state.next_due = claimed->next_due;
  take(std::move(claimed->jobs));
  co_return got;
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

// There is nobody to carry them out: all that are queued end, whatever they wait for. True: there
// may be more.
awaitable<bool> Dispatcher::end_removed() {
  std::size_t ended = 0;
  for (std::size_t lane = 0; lane < lanes_.size() && !runner_; ++lane) {
    if (lanes_[lane].queued == 0) continue;
    store::Claim command;
    command.lane = numbers_[lane];
    command.count = claim_max;
    command.now = jobs::WallTime::max();
    const std::uint64_t before = lanes_[lane].queued;
    jobs::Result<store::Claim> claimed = co_await context_.store.apply(std::move(command));
    if (!claimed) {
      not_before_ = context_.timers.now() + claim_again;
      co_return false;
    }
    const std::uint64_t meanwhile = lanes_[lane].queued - std::min(lanes_[lane].queued, before);
    lanes_[lane].queued = claimed->queued + meanwhile;
    ended += claimed->jobs.size();
    // The next claim is answered after these.
    for (jobs::Job& job : claimed->jobs) tasks_.spawn(end_removed(std::move(job)));
  }
  co_return ended != 0;
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
