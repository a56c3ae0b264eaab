#include "tests/simulation/model.hpp"

#include <algorithm>

namespace raincheck::simulation {

using jobs::ErrorType;
using jobs::State;
using store::Insert;
using store::Presence;

namespace {

std::string target_of(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  return std::string(line.substr(line.find(' ') + 1));
}

std::string name_of(const KnownJob& job) {
  return job.target + " (" + jobs::name(job.state) + ", attempt " + std::to_string(job.attempt) +
         ")";
}

}  // namespace

std::string route_of(const std::string& target) {
  return target.substr(1, target.find('/', 1) - 1);
}

bool is_question(const std::string& target) {
  return target.find('?') != target.npos;
}

void Model::complain(const std::string& what) {
  note("WRONG: " + what);
  if (complaint_.empty()) complaint_ = what;
}

void Model::note(const std::string& what) {
  const auto since = std::chrono::duration_cast<jobs::milliseconds>(
      clock_.now() - jobs::TimePoint(std::chrono::hours(1)));
  history_ += std::to_string(since.count()) + " ms: " + what + "\n";
}

KnownJob* Model::at(const jobs::Place& place) {
  const auto found = jobs_.find(place.key());
  return found == jobs_.end() ? nullptr : &found->second;
}

KnownJob* Model::latest(const std::string& target) {
  const auto found = by_target_.find(target.substr(0, target.find('?')));
  return found == by_target_.end() ? nullptr : &jobs_.at(found->second);
}

const KnownJob* Model::find(const jobs::JobId& id) const {
  const auto found = jobs_.find(id.place.key());
  return found != jobs_.end() && found->second.id == id ? &found->second : nullptr;
}

const KnownJob* Model::find(const std::string& target) const {
  const auto found = by_target_.find(target);
  return found == by_target_.end() ? nullptr : &jobs_.at(found->second);
}

std::size_t Model::pending() const {
  return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& each) {
    return !jobs::is_final(each.second.state);
  }));
}

void Model::committed(std::span<store::Command* const> batch) {
  for (const store::Command* command : batch) {
    std::visit([this](const auto& each) { apply(each); }, *command);
  }
}

void Model::apply(const Insert& insert) {
  if (insert.refused) return;
  const KnownJob* known = nullptr;
  if (insert.job.key) {
    const auto found = by_key_.find(insert.job.key->key);
    if (found != by_key_.end()) known = &jobs_.at(found->second);
  }
  const bool same = known && known->fingerprint == insert.job.key->fingerprint;
  switch (insert.outcome) {
    case Insert::Outcome::existed:
      if (!same || known->id != insert.id) complain("P5: a key leads to a job that is not its own");
      return;
    case Insert::Outcome::key_reused:
      if (!known || same) complain("P5: a key was refused that was not used otherwise");
      return;
    case Insert::Outcome::queued:
    case Insert::Outcome::running:
      if (known) complain("P5: a second job of one key: " + name_of(*known));
      add(insert);
  }
}

void Model::add(const Insert& insert) {
  KnownJob job;
  job.id = insert.id;
  job.target = target_of(insert.job.head);
  const Rules::Route& route = rules_.routes.at(route_of(job.target));
  job.upstream = route.upstream;
  job.again = route.again;
  if (insert.job.key) {
    job.keyed = true;
    job.key = insert.job.key->key;
    job.fingerprint = insert.job.key->fingerprint;
    by_key_[job.key] = job.id.place.key();
  }
  job.start_by = insert.job.start_by;
  job.finish_by = insert.job.finish_by;
  job.retention = insert.job.retention;
  const KnownJob* const before = latest(job.target);
  if (before && !before->gone) complain("P5: a second job of one submission: " + name_of(*before));
  if (at(job.id.place)) complain("a place was given out twice: " + job.target);
  if (insert.outcome == Insert::Outcome::running) {
    job.state = State::running;
    job.attempt = 1;
    job.started_at = clock_.now() - (clock_.wall_now() - insert.job.created_at);
    check_first_start(job);
    check_not_paused(job);
  }
  note("inserted " + name_of(job) + " lane " + std::to_string(job.id.place.lane));
  by_target_[job.target] = job.id.place.key();
  jobs_[job.id.place.key()] = std::move(job);
}

// First come, first served, within a lane.
void Model::check_first_start(const KnownJob& job) {
  std::uint64_t& last = first_started_[job.id.place.lane];
  if (job.id.place.sequence < last) complain("order: started after a later one: " + job.target);
  last = job.id.place.sequence;
}

void Model::check_not_paused(const KnownJob& job) {
  if (is_paused(route_of(job.target))) complain("begun though its route is paused: " + job.target);
}

void Model::pause(const std::string& route, bool paused) {
  note("route " + route + (paused ? " is paused" : " is resumed"));
  if (paused) {
    paused_.insert(route);
  } else {
    paused_.erase(route);
  }
}

void Model::apply(const store::Claim& claim) {
  for (const store::Claim::Share& share : claim.shares) {
    note("claim of " + std::to_string(share.count) + " in lane " + std::to_string(share.lane) +
         ", left " + std::to_string(share.queued));
  }
  for (const jobs::Job& claimed : claim.jobs) {
    KnownJob* const job = at(claimed.id.place);
    if (!job || job->state != State::queued) {
      complain("P2: claimed what is not queued: " + claimed.head);
      continue;
    }
    if (job->due_at > claim.now) complain("claimed before it was due: " + name_of(*job));
    if (!job->was_requeued) check_first_start(*job);
    check_not_paused(*job);
    job->state = State::running;
    job->started_at = clock_.now() - (clock_.wall_now() - claim.now);
    if (++job->attempt != claimed.attempt) complain("claimed as another attempt: " + name_of(*job));
    note("claimed " + name_of(*job));
  }
}

void Model::apply(const store::Expire& expire) {
  for (const jobs::Place& place : expire.ended) {
    KnownJob* const job = at(place);
    if (!job || job->state != State::queued) {
      complain("P2: expired what is not queued, in lane " + std::to_string(place.lane));
      continue;
    }
    const bool over =
        job->finish_by <= expire.now || (job->attempt == 0 && job->start_by <= expire.now);
    if (!over) complain("expired before its time: " + name_of(*job));
    if (expire.error != ErrorType::expired) complain("no route was removed: " + name_of(*job));
    job->error = ErrorType::expired;
    end(*job, State::failed, expire.now, {});
    note("expired " + name_of(*job));
  }
}

void Model::apply(const store::Finish& finish) {
  KnownJob* const job = at(finish.fence.place);
  if (!job) {
    complain("a result of no job");
    return;
  }
  const bool present = job->state == State::running && job->attempt == finish.fence.attempt;
  if (finish.applied != present) {
    complain(finish.applied ? "P2: a late result was taken: " + name_of(*job)
                            : "P2: the present result was refused: " + name_of(*job));
  }
  if (!finish.applied) return;
  check_reason(*job, finish);
  job->error = finish.error;
  job->response = finish.response;
  end(*job, finish.state, finish.now, finish.retention);
  note("finished " + name_of(*job) + " " + jobs::name(job->error));
}

void Model::end(KnownJob& job, State state, jobs::WallTime now, jobs::milliseconds retention) {
  job.state = state;
  job.due_at = {};
  job.expires_at = now + (retention.count() != 0 ? retention : job.retention);
}

// A job fails only for a reason that is true.
void Model::check_reason(const KnownJob& job, const store::Finish& finish) {
  const bool replayed = finish.response.status != 0;
  if (replayed && (!job.answer || job.answer->first != finish.response.status ||
                   job.answer->second.size() != finish.response.body.size)) {
    complain("P4: not what the backend answered: " + name_of(job));
  }
  const bool inlined = replayed && finish.response.body.spool == 0;
  if (inlined && job.answer && job.answer->second != finish.response.body.bytes) {
    complain("P4: not the bytes that the backend answered: " + name_of(job));
  }
  if (finish.state == State::succeeded && !replayed) complain("P4: success without an answer");
  const bool known = job.unclear || job.crashed;
  switch (finish.error) {
    case ErrorType::outcome_unknown:
      if (!known) complain("P3: it is known that this was not executed: " + name_of(job));
      if (job.again) complain("P3: this could have been sent again: " + name_of(job));
      if (job.followed) complain("P3: this could have been asked for: " + name_of(job));
      break;
    case ErrorType::upstream_unreachable:
    case ErrorType::upstream_timeout:
    case ErrorType::upstream_protocol_error:
    case ErrorType::response_too_large:
    case ErrorType::rewrite_failed:
      if (!job.unclear) complain("failed for what burns no attempt: " + name_of(job));
      break;
    case ErrorType::expired:
      if (finish.now < std::min(job.start_by, job.finish_by)) {
        complain("expired before its time: " + name_of(job));
      }
      break;
    case ErrorType::route_removed:
      complain("no route was removed: " + name_of(job));
      break;
    case ErrorType::none:
    case ErrorType::upstream_status:
    case ErrorType::upstream_rejected:
      break;
  }
}

void Model::apply(const store::Requeue& requeue) {
  KnownJob* const job = at(requeue.fence.place);
  const bool present = job && job->state == State::running && job->attempt == requeue.fence.attempt;
  if (requeue.applied != present) complain("a requeue was applied or refused wrongly");
  if (!present) return;
  job->state = State::queued;
  job->was_requeued = true;
  job->due_at = requeue.due_at;
  if (!requeue.counts) --job->attempt;
  note("requeued " + name_of(*job));
}

void Model::apply(const store::Follow& follow) {
  KnownJob* const job = at(follow.fence.place);
  const bool present = job && job->state == State::running && job->attempt == follow.fence.attempt;
  if (follow.applied != present) complain("a monitor was recorded or refused wrongly");
  if (!present) return;
  job->followed = true;
  note("followed " + name_of(*job));
}

void Model::apply(const store::Cancel& cancel) {
  KnownJob* const job = at(cancel.id.place);
  if (cancel.presence != Presence::present) {
    if (job && !job->gone) complain("P1: a cancel found no job: " + name_of(*job));
    return;
  }
  if (!job || job->state != cancel.was) {
    complain("a cancel found another state");
    return;
  }
  if (jobs::is_final(job->state)) return;
  job->canceled_running = job->state == State::running;
  end(*job, State::canceled, cancel.now, cancel.retention);
  note("canceled " + name_of(*job));
}

void Model::apply(const store::Erase& erase) {
  KnownJob* const job = at(erase.id.place);
  if (!job) return;
  if ((erase.presence == Presence::present) == job->gone) complain("P1: erased what is not there");
  if (erase.presence == Presence::present && jobs::is_final(job->state)) remove(*job);
}

void Model::apply(const store::Prune& prune) {
  std::vector<KnownJob*> expired;
  for (auto& [key, job] : jobs_) {
    if (!job.gone && jobs::is_final(job.state) && job.expires_at <= prune.now) {
      expired.push_back(&job);
    }
  }
  if (std::min<std::size_t>(expired.size(), prune.count_max) != prune.count) {
    complain("P1: pruned " + std::to_string(prune.count) + " jobs where " +
             std::to_string(expired.size()) + " have expired");
  }
  std::stable_sort(expired.begin(), expired.end(), [](const KnownJob* a, const KnownJob* b) {
    return a->expires_at < b->expires_at;
  });
  if (expired.size() > prune.count) expired.resize(prune.count);
  for (KnownJob* const job : expired) remove(*job);
}

void Model::remove(KnownJob& job) {
  note("removed " + name_of(job));
  job.gone = true;
  if (job.keyed) by_key_.erase(job.key);
}

void Model::begun(std::size_t upstream, const test::ScriptedCall& call) {
  ++calls_begun_;
  forget_ended_calls();
  KnownJob* const job = latest(call.target);
  if (!job) {
    complain("P3: a call that nobody asked for: " + call.target);
    return;
  }
  const bool wanted = job->state == State::running || job->canceled_running;
  if (!wanted) complain("P3: a call of a job that does not run: " + name_of(*job));
  if (is_question(call.target)) {
    if (!job->followed) complain("P3: asked for and not recorded: " + name_of(*job));
  } else {
    if (job->unclear && !job->again) complain("P3: sent again: " + name_of(*job));
    if (job->followed) complain("P3: sent again though it goes on: " + name_of(*job));
    if (call.may_resend != job->again) complain("P3: a call with another mind: " + name_of(*job));
  }
  note("call of " + name_of(*job));
  if (call.script.executes()) ++executions_;
  std::size_t busy = 1;
  for (const Call& other : calls_) {
    if (other.job == job->id.place.key()) complain("two calls of a job at once: " + name_of(*job));
    if (other.upstream == upstream) ++busy;
  }
  busy += followed_beside(*job);
  if (busy > rules_.upstreams[upstream].max_concurrency) complain("P6: too many calls at once");
  calls_.push_back(Call{upstream, job->id.place.key(), &call, jobs::TimePoint::max()});
}

// Other jobs of its upstream that the backend is at between two questions.
std::size_t Model::followed_beside(const KnownJob& job) const {
  std::size_t count = 0;
  for (const auto& [key, other] : jobs_) {
    const bool is_there = other.followed && other.state == State::running &&
                          other.upstream == job.upstream && &other != &job;
    const bool is_counted = std::any_of(calls_.begin(), calls_.end(),
                                        [at = key](const Call& call) { return call.job == at; });
    count += is_there && !is_counted;
  }
  return count;
}

void Model::ended(std::size_t upstream, const test::ScriptedCall& call) {
  const auto found = std::find_if(calls_.begin(), calls_.end(),
                                  [&call](const Call& each) { return each.live == &call; });
  if (found == calls_.end()) return;
  KnownJob* const job = &jobs_.at(found->job);
  note("call ended of " + name_of(*job));
  const bool goes_on = call.script.status == 202;
  if (call.answered && !goes_on) job->answer.emplace(call.script.status, call.script.body);
  const bool declined = call.answered && call.script.is_busy();
  if (call.script.sends() && !declined) job->unclear = true;
  const Rules::Upstream& of = rules_.upstreams[upstream];
  const bool by_us = !call.answered && call.script.sends() && clock_.now() < call.backend_ends;
  found->live = nullptr;
  found->busy_until = of.drains && by_us ? std::min(call.backend_ends, clock_.now() + of.abort_hold)
                                         : jobs::TimePoint::min();
}

void Model::forget_ended_calls() {
  std::erase_if(calls_, [this](const Call& call) {
    return call.live == nullptr && call.busy_until <= clock_.now();
  });
}

// What the next process can know of the calls of this one is when they were started: it waits as
// long as they can take.
void Model::process_ended(bool crashed) {
  note(crashed ? "crash" : "restart");
  paused_.clear();
  for (auto& [key, job] : jobs_) {
    if (job.state == State::running) job.crashed = true;
  }
  for (Call& call : calls_) {
    KnownJob* const job = &jobs_.at(call.job);
    if (call.live && call.live->script.sends()) job->unclear = true;
    const Rules::Upstream& of = rules_.upstreams[call.upstream];
    const bool remembered = crashed && rules_.even_wall_clock && of.drains && call.live &&
                            call.live->script.sends() && job->state == State::running;
    call.busy_until = remembered
                          ? std::min(call.live->backend_ends, job->started_at + of.abort_hold)
                          : jobs::TimePoint::min();
    call.live = nullptr;
  }
  forget_ended_calls();
}

void Model::check(store::Backend& backend) {
  std::vector<store::Find> finds;
  for (const auto& [key, job] : jobs_) {
    finds.emplace_back();
    finds.back().id = job.id;
    finds.back().with_response = true;
  }
  std::vector<store::Find*> batch;
  for (store::Find& find : finds) batch.push_back(&find);
  if (!backend.find(batch)) {
    complain("P1: the jobs cannot be read");
    return;
  }
  std::size_t i = 0;
  for (const auto& [key, job] : jobs_) check_one(job, finds[i++]);
}

void Model::check_one(const KnownJob& job, const store::Find& found) {
  if (found.presence != (job.gone ? Presence::gone : Presence::present)) {
    complain((job.gone ? "a job that is gone is not told so: " : "P1: a job was lost: ") +
             name_of(job));
    return;
  }
  if (job.gone) return;
  if (found.job.state != job.state || found.job.error != job.error) {
    complain("P2: the store has another state: " + name_of(job) + ", " +
             jobs::name(found.job.state));
  }
  if (found.job.attempt != job.attempt) complain("the store has another attempt: " + name_of(job));
  if (!jobs::is_final(job.state)) return;
  const jobs::Response& response = found.job.response;
  const bool same = response.status == job.response.status && response.head == job.response.head &&
                    response.body.bytes == job.response.body.bytes &&
                    response.body.size == job.response.body.size &&
                    response.body.spool == job.response.body.spool &&
                    found.job.expires_at == job.expires_at;
  if (!same) complain("P2: the result has changed: " + name_of(job));
}

void Model::check_calls_are_wanted() {
  for (const Call& call : calls_) {
    const KnownJob* const job = &jobs_.at(call.job);
    if (call.live && job->state != State::running) {
      complain("the call of a job that has ended goes on: " + name_of(*job));
    }
  }
}

}  // namespace raincheck::simulation
