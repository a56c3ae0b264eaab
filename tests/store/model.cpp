#include "tests/store/model.hpp"

#include <algorithm>

#include "jobs/labels.hpp"

namespace raincheck::store {

using jobs::Job;
using jobs::JobId;
using jobs::State;
using jobs::WallTime;

void Model::apply(Command& command) {
  std::visit([this](auto& each) { apply_one(each); }, command);
}

std::uint64_t Model::queued(std::uint32_t lane) const {
  const LaneState& state = lanes_[lane - 1];
  return state.queue.size() + state.later.size();
}

WallTime Model::next_due(std::uint32_t lane) const {
  const LaneState& state = lanes_[lane - 1];
  return state.later.empty() ? WallTime() : state.later.begin()->first;
}

std::size_t Model::requests() const {
  std::size_t requests = 0;
  for (const auto& [key, entry] : jobs_) requests += entry.has_request;
  return requests;
}

std::set<std::int64_t> Model::labeled(std::string_view label) const {
  std::set<std::int64_t> keys;
  for (const auto& [key, entry] : jobs_) {
    for (std::string_view rest = entry.job.labels; !rest.empty();) {
      if (jobs::take_label(rest) == label) keys.insert(key);
    }
  }
  return keys;
}

Find Model::find(const JobId& id) const {
  Find found;
  found.id = id;
  const auto entry = jobs_.find(id.place.key());
  if (entry != jobs_.end() && entry->second.job.id.random == id.random) {
    found.presence = Presence::present;
    found.job = entry->second.job;
  } else if (entry == jobs_.end() && id.place.lane >= 1 && id.place.lane <= lanes_.size() &&
             id.place.sequence < tail(id.place.lane)) {
    found.presence = Presence::gone;
  }
  return found;
}

void Model::apply_one(Insert& command) {
  const jobs::NewJob& with = command.job;
  for (const auto& [key, entry] : jobs_) {
    if (!with.key || !entry.key || entry.key->key != with.key->key) continue;
    const bool same = entry.key->fingerprint == with.key->fingerprint;
    command.outcome = same ? Insert::Outcome::existed : Insert::Outcome::key_reused;
    if (same) command.id = entry.job.id;
    return;
  }
  LaneState& lane = lanes_[with.lane - 1];
  command.id = JobId{jobs::Place{0, with.lane, lane.tail++}, with.random};
  const std::int64_t key = command.id.place.key();
  Entry& entry = jobs_[key];
  entry.job.id = command.id;
  entry.job.created_at = with.created_at;
  entry.job.start_by = with.start_by;
  entry.job.finish_by = with.finish_by;
  entry.job.may_resend = with.may_resend;
  entry.job.route = with.route;
  entry.job.request_id = with.request_id;
  entry.job.redrive_of = with.redrive_of;
  entry.job.labels = with.labels;
  entry.job.authorizes_polls = with.authorizes_polls;
  entry.job.body.size = with.body.size;
  entry.head = with.head;
  entry.body = with.body.bytes;
  entry.key = with.key;
  entry.retention = with.retention;
  const bool retry_first = !lane.later.empty() && lane.later.begin()->first <= with.created_at;
  if (command.start && lane.queue.empty() && (command.under_way || !retry_first)) {
    start(key, with.created_at);
    command.outcome = Insert::Outcome::running;
  } else {
    lane.queue.push_back(key);
    command.outcome = Insert::Outcome::queued;
  }
}

Job Model::start(std::int64_t key, WallTime now) {
  Entry& entry = jobs_.at(key);
  entry.job.state = State::running;
  entry.job.attempt += 1;
  entry.job.started_at = now;
  entry.job.due_at = WallTime();
  entry.epoch = epoch;
  Job job = entry.job;
  job.head = entry.head;
  job.body.bytes = entry.body;
  return job;
}

void Model::apply_one(Claim& command) {
  for (Claim::Share& share : command.shares) {
    LaneState& lane = lanes_[share.lane - 1];
    std::uint32_t wanted = share.count;
    for (; wanted > 0 && !lane.later.empty() && lane.later.begin()->first <= command.now;
         --wanted) {
      command.jobs.push_back(start(lane.later.begin()->second, command.now));
      lane.later.erase(lane.later.begin());
    }
    for (; wanted > 0 && !lane.queue.empty(); --wanted) {
      command.jobs.push_back(start(lane.queue.front(), command.now));
      lane.queue.pop_front();
    }
    share.queued = queued(share.lane);
    share.due = lane.queue.empty() ? next_due(share.lane) : WallTime();
  }
}

namespace {

bool is_over(const Job& job, WallTime limit) {
  return job.finish_by <= limit || (job.attempt == 0 && job.start_by <= limit);
}

}  // namespace

void Model::expire(Expire& command, std::int64_t key) {
  Entry& entry = jobs_.at(key);
  end(entry, State::failed, command.now, {}, command.request_retention);
  entry.job.error = command.error;
  command.ended.push_back(entry.job.id.place);
}

void Model::apply_one(Expire& command) {
  std::size_t looked = 0;
  for (Expire::Share& share : command.shares) {
    if (looked >= command.look_max) break;
    looked += expire_lane(command, share);
    share.queued = queued(share.lane);
    ++command.done;
  }
}

// How many were looked at.
std::size_t Model::expire_lane(Expire& command, Expire::Share& share) {
  LaneState& lane = lanes_[share.lane - 1];
  const bool ends_all = command.error == jobs::ErrorType::route_removed;
  const WallTime limit = ends_all ? WallTime::max() : command.now;
  const std::size_t look_max = command.look_max;
  const std::size_t ended_before = command.ended.size();
  std::size_t looked = 0;
  for (auto entry = lane.later.begin(); looked < look_max && entry != lane.later.end();) {
    const auto [due, key] = *entry;
    if (due > limit) break;
    ++looked;
    const bool over = is_over(jobs_.at(key).job, limit);
    if (over) expire(command, key);
    entry = over ? lane.later.erase(entry) : std::next(entry);
  }
  share.more = looked == look_max && command.ended.size() - ended_before == look_max;
  std::size_t all = looked;
  for (looked = 0; looked < look_max && !lane.queue.empty(); ++looked) {
    const std::int64_t key = lane.queue.front();
    if (!is_over(jobs_.at(key).job, limit)) {
      share.oldest = jobs_.at(key).job.created_at;
      break;
    }
    expire(command, key);
    lane.queue.pop_front();
  }
  share.more = share.more || looked == look_max;
  all += looked;
  looked = 0;
  for (auto at = lane.queue.begin(); looked < look_max && at != lane.queue.end();) {
    const Job& job = jobs_.at(*at).job;
    const std::uint64_t sequence = job.id.place.sequence;
    const bool passed = sequence < share.from;
    if (!passed && job.created_at > limit - share.patience) break;
    const bool over = !passed && is_over(job, limit);
    looked += !passed;
    share.from = std::max(share.from, sequence + 1);
    if (over) expire(command, *at);
    at = over ? lane.queue.erase(at) : std::next(at);
  }
  share.more = share.more || looked == look_max;
  return all + looked;
}

Model::Entry* Model::fenced(const Fence& fence) {
  const auto entry = jobs_.find(fence.place.key());
  if (entry == jobs_.end() || entry->second.job.state != State::running) return nullptr;
  const std::uint64_t wanted = fence.epoch == 0 ? epoch : fence.epoch;
  const bool holds = entry->second.job.attempt == fence.attempt && entry->second.epoch == wanted;
  return holds ? &entry->second : nullptr;
}

void Model::end(Entry& entry,
                State state,
                WallTime now,
                jobs::milliseconds retention,
                jobs::milliseconds request_retention) {
  Job& job = entry.job;
  job.state = state;
  job.finished_at = now;
  job.expires_at = now + (retention.count() != 0 ? retention : entry.retention);
  expiries_.emplace(job.expires_at, job.id.place.key());
  entry.has_request = state == State::failed && request_retention.count() != 0;
  if (entry.has_request && now + request_retention < job.expires_at) {
    expiries_.emplace(now + request_retention, job.id.place.key());
  }
  // Of the request a final job tells nothing any more.
  job.due_at = job.start_by = job.finish_by = WallTime();
  job.may_resend = false;
  job.monitor.clear();
  job.body = jobs::Body();
}

void Model::apply_one(Finish& command) {
  Entry* entry = fenced(command.fence);
  command.applied = entry != nullptr;
  if (!entry) return;
  end(*entry, command.state, command.now, command.retention, command.request_retention);
  entry->job.error = command.error;
  entry->job.response = command.response;
  if (!command.history.empty()) entry->job.history = command.history;
}

void Model::apply_one(Requeue& command) {
  Entry* entry = fenced(command.fence);
  command.applied = entry != nullptr;
  if (!entry) return;
  const WallTime due = std::max(command.due_at, WallTime(jobs::milliseconds(1)));
  entry->job.state = State::queued;
  entry->job.due_at = due;
  if (!command.counts) entry->job.attempt -= 1;
  if (!command.history.empty()) entry->job.history = command.history;
  lanes_[command.fence.place.lane - 1].later.emplace(due, command.fence.place.key());
}

void Model::apply_one(Follow& command) {
  Entry* entry = fenced(command.fence);
  command.applied = entry != nullptr;
  if (entry) entry->job.monitor = command.monitor;
}

Model::Entry* Model::present(const JobId& id, Presence& presence) {
  presence = find(id).presence;
  return presence == Presence::present ? &jobs_.at(id.place.key()) : nullptr;
}

void Model::apply_one(Cancel& command) {
  Entry* entry = present(command.id, command.presence);
  if (!entry) return;
  Job& job = entry->job;
  command.was = job.state;
  if (job.state == State::queued) {
    LaneState& lane = lanes_[command.id.place.lane - 1];
    const std::int64_t key = command.id.place.key();
    lane.later.erase({job.due_at, key});
    std::erase(lane.queue, key);
  }
  if (!jobs::is_final(job.state)) {
    end(*entry, State::canceled, command.now, command.retention, {});
  }
  command.job = job;
}

void Model::apply_one(Erase& command) {
  Entry* entry = present(command.id, command.presence);
  if (!entry) return;
  command.was = entry->job.state;
  if (!jobs::is_final(command.was)) return;
  expiries_.erase({entry->job.expires_at, command.id.place.key()});
  jobs_.erase(command.id.place.key());
}

void Model::apply_one(Prune& command) {
  while (command.count < command.count_max && !expiries_.empty()) {
    const auto [at, key] = *expiries_.begin();
    if (at > command.now) return;
    const auto entry = jobs_.find(key);
    if (entry != jobs_.end() && entry->second.job.expires_at == at) {
      jobs_.erase(entry);
    } else if (entry != jobs_.end()) {
      entry->second.has_request = false;
    }
    expiries_.erase(expiries_.begin());
    ++command.count;
  }
}

namespace {

template <class T>
const char* unequal(const char* name, const T& expected, const T& actual) {
  return expected == actual ? "" : name;
}

template <class... Names>
std::string first_of(const Names&... names) {
  std::string first;
  ((first = first.empty() ? names : first), ...);
  return first;
}

std::string compare(const Insert& a, const Insert& b) {
  const bool has_id = a.outcome != Insert::Outcome::key_reused;
  return first_of(unequal("outcome", a.outcome, b.outcome), unequal("refused", false, b.refused),
                  has_id ? unequal("id", a.id, b.id) : "");
}

std::string compare(const Claim& a, const Claim& b) {
  if (a.jobs.size() != b.jobs.size()) return "count";
  for (std::size_t i = 0; i < a.jobs.size(); ++i) {
    const std::string text = difference(a.jobs[i], b.jobs[i]);
    if (!text.empty()) return text;
  }
  for (std::size_t i = 0; i < a.shares.size(); ++i) {
    const std::string text = first_of(unequal("queued", a.shares[i].queued, b.shares[i].queued),
                                      unequal("due", a.shares[i].due, b.shares[i].due));
    if (!text.empty()) return text;
  }
  return "";
}

// Where a cursor stands is the store's own affair: what matters is what it comes upon.
std::string compare(const Expire& a, const Expire& b) {
  for (std::size_t i = 0; i < a.done; ++i) {
    const Expire::Share& one = a.shares[i];
    const Expire::Share& other = b.shares[i];
    const std::string text =
        first_of(unequal("queued", one.queued, other.queued), unequal("more", one.more, other.more),
                 unequal("oldest", one.oldest, other.oldest));
    if (!text.empty()) return text;
  }
  return first_of(unequal("ended", a.ended, b.ended), unequal("done", a.done, b.done));
}

std::string compare(const Finish& a, const Finish& b) {
  return unequal("applied", a.applied, b.applied);
}

std::string compare(const Requeue& a, const Requeue& b) {
  return unequal("applied", a.applied, b.applied);
}

std::string compare(const Follow& a, const Follow& b) {
  return unequal("applied", a.applied, b.applied);
}

std::string compare(const Cancel& a, const Cancel& b) {
  Job expected = a.job;
  // Bodies are not given back.
  expected.response.head.clear();
  expected.response.body.bytes.clear();
  return first_of(unequal("presence", a.presence, b.presence), unequal("was", a.was, b.was),
                  a.presence == Presence::present ? difference(expected, b.job) : "");
}

std::string compare(const Erase& a, const Erase& b) {
  return first_of(unequal("presence", a.presence, b.presence), unequal("was", a.was, b.was));
}

std::string compare(const Prune& a, const Prune& b) {
  return unequal("count", a.count, b.count);
}

}  // namespace

std::string difference(const Job& a, const Job& b) {
  const bool is_final = jobs::is_final(a.state);
  return first_of(
      unequal("id", a.id, b.id), unequal("state", a.state, b.state),
      unequal("error", a.error, b.error), unequal("attempt", a.attempt, b.attempt),
      unequal("created_at", a.created_at, b.created_at),
      unequal("started_at", a.started_at, b.started_at),
      unequal("finished_at", a.finished_at, b.finished_at),
      unequal("expires_at", a.expires_at, b.expires_at), unequal("due_at", a.due_at, b.due_at),
      is_final ? "" : unequal("start_by", a.start_by, b.start_by),
      is_final ? "" : unequal("finish_by", a.finish_by, b.finish_by),
      is_final ? "" : unequal("may_resend", a.may_resend, b.may_resend),
      unequal("route", a.route, b.route), unequal("request_id", a.request_id, b.request_id),
      unequal("redrive_of", a.redrive_of, b.redrive_of), unequal("labels", a.labels, b.labels),
      unequal("authorizes_polls", a.authorizes_polls, b.authorizes_polls),
      unequal("history", a.history, b.history), unequal("monitor", a.monitor, b.monitor),
      unequal("head", a.head, b.head), unequal("body", a.body.bytes, b.body.bytes),
      unequal("body size", a.body.size, b.body.size),
      unequal("status", a.response.status, b.response.status),
      unequal("response head", a.response.head, b.response.head),
      unequal("response body", a.response.body.bytes, b.response.body.bytes),
      unequal("response size", a.response.body.size, b.response.body.size));
}

std::string difference(const Command& expected, const Command& actual) {
  return std::visit(
      [&actual](const auto& each) {
        return compare(each, std::get<std::decay_t<decltype(each)>>(actual));
      },
      expected);
}

}  // namespace raincheck::store
