#include "proxy/runner.hpp"

#include <spdlog/spdlog.h>

#include "jobs/history.hpp"
#include "proxy/route_call.hpp"
#include "proxy/trace_context.hpp"

namespace raincheck::proxy {

using jobs::Decision;
using jobs::ErrorType;
using jobs::Fault;
using jobs::Job;
using jobs::milliseconds;
using jobs::Result;
using jobs::State;

namespace {

milliseconds since(TimePoint began, TimePoint now) {
  return std::chrono::duration_cast<milliseconds>(now - began);
}

std::uint64_t seed_of(const jobs::Random& random) {
  std::uint64_t seed = 0;
  for (std::size_t i = 0; i < sizeof seed; ++i) seed = seed << 8 | random[i];
  return seed;
}

Decision failed(ErrorType error) {
  Decision decision;
  decision.action = Decision::Action::finish;
  decision.state = State::failed;
  decision.error = error;
  return decision;
}

// The word of an attempt in the access log.
const char* reason_of(const Reply& reply, bool canceled) {
  if (canceled) return "canceled";
  if (!reply.fault) return "ok";
  return jobs::fault_name(*reply.fault);
}

// Of the job's attempts, with this one.
std::string history_with(const Job& job, const Reply& reply, bool canceled, milliseconds took) {
  jobs::PastAttempt attempt;
  attempt.number = job.attempt;
  attempt.began = job.started_at - job.created_at;
  attempt.took = took;
  attempt.status = reply.status;
  attempt.reason = reason_of(reply, canceled);
  attempt.server = reply.server;
  std::string history = job.history;
  jobs::append_attempt(history, attempt);
  return history;
}

// The backend has answered, but not with the result: it goes on with the call.
bool is_to_follow(const Reply& reply) {
  return !reply.fault && reply.step.kind != routes::FollowStep::Kind::result;
}

}  // namespace

Runner::Runner(ShardContext context,
               const Site& site,
               const config::Upstream& config,
               Upstream& upstream,
               Slots& slots,
               TaskGroup& tasks,
               Bulletin& bulletin,
               AccessLog& log,
               RunnerEvents events)
    : context_(context),
      site_(site),
      config_(config),
      upstream_(upstream),
      slots_(slots),
      tasks_(tasks),
      bulletin_(bulletin),
      log_(log),
      events_(std::move(events)) {}

// Holds the place of an attempt in running_, however its coroutine ends.
struct Runner::Running {
  Running(Runner& of, std::int64_t at, const SiteRoute& route)
      : runner(of), key(at), count(of.context_.metrics.of(&route).running) {
    runner.running_.try_emplace(key);
    count.add();
  }
  ~Running() {
    runner.running_.erase(key);
    count.add(-1);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  Runner& runner;
  const std::int64_t key;
  Counter& count;
};

void Runner::start(Job job) {
  tasks_.spawn(run(std::move(job)));
}

awaitable<void> Runner::run(Job job) {
  const SiteRoute& route = *site_.find(job.route);
  const bool ended = co_await overdue(job, route);
  if (ended) {
    events_.skipped();
    slots_.give();
    co_return;
  }
  const TimePoint began = context_.timers.now();
  const Running entry(*this, job.id.place.key(), route);
  bulletin_.publish(JobChange{entry.key});
  if (job.monitor.empty()) {
    co_await call(job, route, began);
  } else {
    Reply none;
    co_await follow(job, route, std::move(none), began);
  }
}

awaitable<void> Runner::call(const Job& job, const SiteRoute& route, TimePoint began) {
  const milliseconds to_live = job.finish_by - context_.timers.wall_now();
  RouteCall routed(context_.warnings, site_, route, job.head, job.request_id,
                   context_.codec.text(job.id));
  const auto made = routed.make();
  BodyWriter body(context_.store, site_.config().store.inline_max);
  Call call;
  call.head = routed.head();
  call.host = routed.host();
  call.key = routed.balance_key();
  call.body = &job.body;
  call.may_resend = job.may_resend;
  call.deadline = began + std::min(config_.timeouts.attempt, to_live);
  call.ends_early = to_live < config_.timeouts.attempt;
  if (route.rules->follow.enabled()) call.follow = &route.rules->follow;
  call.into = &body;
  call.routed = &routed;
  const std::unique_ptr<Exchange> exchange = upstream_.open(call);
  attend(job.id.place.key(), *exchange);

  Reply reply;
  if (made == routes::RouteRules::Made::done) {
    reply = co_await exchange->run();
  } else {
    reply.fault = Fault::internal;
    reply.detail = routed.why();
  }
  // The submission was checked: it is ours to mend, and burns no attempt.
  if (reply.fault == Fault::internal) {
    spdlog::error("a job on route {} cannot be called: {}", job.route, reply.detail);
  }
  if (is_to_follow(reply)) {
    co_await follow(job, route, std::move(reply), began);
  } else {
    co_await conclude(job, route, std::move(reply), body, began, *exchange);
  }
}

// From now on an abort ends this.
void Runner::attend(std::int64_t key, Exchange& exchange) {
  Attempt& attempt = running_[key];
  attempt.exchange = &exchange;
  if (stopping_ || attempt.canceled || (draining_ && attempt.followed)) exchange.abort();
}

// Until the backend has the result: from the monitor that an earlier attempt has recorded or,
// without one, from the answer to the call.
awaitable<void> Runner::follow(const Job& job,
                               const SiteRoute& route,
                               Reply accepted,
                               TimePoint began) {
  FollowedCall::Events events{events_.unavailable, events_.available};
  FollowedCall call(context_, site_, route, upstream_, job, context_.codec.text(job.id),
                    std::move(events));
  if (job.monitor.empty()) {
    log_attempt(job, accepted, 0, began, "followed");
    call.begin(std::move(accepted));
  }
  running_[job.id.place.key()].followed = true;
  attend(job.id.place.key(), call);
  Reply reply = co_await call.run();
  co_await conclude(job, route, std::move(reply), call.body(), began, call);
}

awaitable<void> Runner::adopt(Job job, Exchange& exchange, BodyWriter& into, TimePoint began) {
  const SiteRoute& route = *site_.find(job.route);
  const Running entry(*this, job.id.place.key(), route);
  attend(entry.key, exchange);
  Reply reply = co_await exchange.run();
  if (is_to_follow(reply)) {
    co_await follow(job, route, std::move(reply), began);
  } else {
    co_await conclude(job, route, std::move(reply), into, began, exchange);
  }
}

void Runner::abort(std::int64_t key) {
  const auto found = running_.find(key);
  if (found == running_.end()) return;
  found->second.canceled = true;
  // A call that was given up already goes on being settled: the backend may still be at it.
  if (!found->second.over) found->second.exchange->abort();
}

void Runner::drain() {
  draining_ = true;
  for (const auto& [key, attempt] : running_) {
    if (attempt.followed && attempt.exchange) attempt.exchange->abort();
  }
}

void Runner::stop() {
  stopping_ = true;
  for (const auto& [key, attempt] : running_) {
    if (attempt.exchange) attempt.exchange->abort();
  }
}

// A job whose time has passed ends without a call.
awaitable<bool> Runner::overdue(const Job& job, const SiteRoute& route) {
  const jobs::WallTime now = context_.timers.wall_now();
  const bool over = job.finish_by <= now || (job.attempt <= 1 && job.start_by <= now);
  if (!over) co_return false;
  const Decision decision = failed(ErrorType::expired);
  co_await finish(job, route, decision, nullptr, nullptr, milliseconds(-1), "");
  co_return true;
}

awaitable<void> Runner::conclude(const Job& job,
                                 const SiteRoute& route,
                                 Reply reply,
                                 BodyWriter& body,
                                 TimePoint began,
                                 Exchange& exchange) {
  Attempt& ended = running_[job.id.place.key()];
  ended.over = true;
  const bool canceled = ended.canceled;
  const milliseconds ran = since(began, context_.timers.now());
  const jobs::WallTime now = context_.timers.wall_now();

  jobs::Outcome outcome = outcome_of(reply, now);
  // What was given up because the process ends says nothing of the backend.
  if (stopping_ && reply.fault && !canceled) outcome.fault = Fault::stopping;
  jobs::Attempt attempt;
  attempt.number = job.attempt;
  attempt.may_resend = job.may_resend;
  attempt.followed = reply.followed;
  attempt.now = now;
  attempt.start_by = job.start_by;
  attempt.finish_by = job.finish_by;
  attempt.seed = seed_of(job.id.random);
  Decision decision = jobs::decide(outcome, attempt, route.decisions);
  // The job's own time was shorter than the attempt's.
  const bool overran = reply.fault == Fault::upstream_timeout && now >= job.finish_by;
  if (overran && decision.action == Decision::Action::finish) decision.error = ErrorType::expired;

  log_attempt(job, reply, body.size(), began, reason_of(reply, canceled));
  std::string history = history_with(job, reply, canceled, ran);
  if (canceled) {
    events_.skipped();
  } else if (decision.hold_upstream) {
    events_.unavailable(decision.hold_for);
  } else {
    events_.available();
  }
  // With `on_abort: drain` a call that was given up keeps its slot until the backend has ended, and
  // is not tried again before; that it has failed is told at once.
  const bool given_up = canceled || reply.fault;
  running_[job.id.place.key()].exchange = nullptr;
  if (canceled) {
    co_await settle(exchange);
  } else if (decision.action != Decision::Action::finish) {
    if (given_up) co_await settle(exchange);
    slots_.give();
    // Stays recorded as running, for the next process to go on before all that waits.
    if (decision.counts) {
      context_.metrics.of(config_).retries[retry_label(reply.fault, reply.status)].add();
    }
    if (!reply.followed) co_await requeue(job, decision, std::move(history));
    co_return;
  } else {
    co_await finish(job, route, decision, &reply, &body, ran, std::move(history));
    if (given_up) co_await settle(exchange);
  }
  slots_.give();
}

awaitable<void> Runner::settle(Exchange& exchange) {
  if (!stopping_) co_await exchange.settle(context_.timers.now() + config_.hold());
}

// What a full disk does not take now is tried again until it does: a result is held, never dropped.
template <class C>
awaitable<Result<C>> Runner::record(C command) {
  Result<C> recorded = co_await context_.store.apply(command);
  while (!recorded && !stopping_ && jobs::is_passing(recorded.error().fault)) {
    Signal pause(context_.io, context_.timers);
    co_await pause.wait(context_.timers.now() + full_disk_pause);
    recorded = co_await context_.store.apply(command);
  }
  co_return recorded;
}

awaitable<void> Runner::finish(const Job& job,
                               const SiteRoute& route,
                               const Decision& decision,
                               const Reply* reply,
                               BodyWriter* body,
                               milliseconds ran,
                               std::string history) {
  store::Finish command;
  command.fence = store::Fence{job.id.place, job.attempt, 0};
  command.state = decision.state;
  command.error = decision.error;
  command.history = std::move(history);
  const bool replayed = reply && !reply->fault;
  if (replayed) {
    Result<jobs::Body> whole = co_await body->finish();
    while (!whole && jobs::is_passing(whole.error().fault) && !stopping_) {
      Signal pause(context_.io, context_.timers);
      co_await pause.wait(context_.timers.now() + full_disk_pause);
      whole = co_await body->finish();
    }
    if (!whole) {
      spdlog::error("job on route {}: its result cannot be stored: {}", job.route,
                    whole.error().detail);
      co_return;
    }
    command.response.status = reply->status;
    command.response.head = reply->head;
    command.response.body = std::move(*whole);
  }
  command.now = context_.timers.wall_now();
  command.request_retention = site_.config().jobs.retention.failed_request;
  const Result<store::Finish> finished = co_await record(std::move(command));
  if (!finished) {
    spdlog::error("a job on route {} could not be ended: {}", job.route, finished.error().detail);
    co_return;
  }
  // Not applied: it was canceled, or another process took it over. What this attempt brought is
  // dropped.
  if (!finished->applied) co_return;
  if (replayed) body->release();
  context_.metrics.finished(&route, decision.state, decision.error);
  events_.finished();
  JobChange change{job.id.place.key(), true};
  if (ran.count() >= 0) {
    change.route = route.known->number;
    change.waited = std::max(milliseconds(0), job.started_at - job.created_at);
    change.ran = ran;
    RouteMetrics& metrics = context_.metrics.of(&route);
    metrics.waited.observe(change.waited.count());
    metrics.ran.observe(ran.count());
  }
  bulletin_.publish(change);
}

awaitable<void> Runner::requeue(const Job& job, const Decision& decision, std::string history) {
  store::Requeue command;
  command.fence = store::Fence{job.id.place, job.attempt, 0};
  command.due_at = decision.due_at;
  command.counts = decision.counts;
  command.history = std::move(history);
  const Result<store::Requeue> requeued = co_await record(command);
  if (!requeued) {
    spdlog::error("a job on route {} could not be queued again: {}", job.route,
                  requeued.error().detail);
    co_return;
  }
  if (!requeued->applied) co_return;
  bulletin_.publish(JobChange{job.id.place.key()});
  events_.requeued(job.id.place.lane, decision.due_at);
}

void Runner::log_attempt(
    const Job& job, const Reply& reply, std::uint64_t bytes, TimePoint began, const char* reason) {
  const milliseconds duration = since(began, context_.timers.now());
  context_.metrics.called(config_, reply.server, reply.status, duration);
  if (!log_.enabled()) return;
  AttemptLine line;
  line.time = context_.timers.wall_now() - duration;
  line.request_id = job.request_id;
  line.trace_id = trace_id_of(job.head);
  line.id = job.id;
  line.route = job.route;
  line.upstream = config_.name;
  line.server = reply.server;
  line.attempt = job.attempt;
  line.status = reply.status;
  line.bytes_in = bytes;
  line.bytes_out = job.body.size;
  line.duration = duration;
  line.first_byte = reply.first_byte;
  line.reason = reason;
  line.error = reply.detail;
  log_.attempt(line);
}

}  // namespace raincheck::proxy
