// From a request to a job: everything that is decided before the 202, the 202 itself, and the
// hybrid calls that may become jobs while they run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "jobs/document.hpp"
#include "jobs/idempotency.hpp"
#include "jobs/prefer.hpp"
#include "jobs/text.hpp"
#include "proxy/call_body.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/handlers.hpp"
#include "proxy/held_call.hpp"
#include "proxy/job_terms.hpp"
#include "proxy/job_urls.hpp"
#include "proxy/relay.hpp"
#include "proxy/submission_terms.hpp"
#include "proxy/validate.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Job;
using jobs::milliseconds;
using jobs::Result;
using jobs::State;
using store::Insert;

namespace {

// A trial's ${job.id}: the job has none before it is stored.
constexpr const char* id_to_come = "00000000000000000000000000000000";

// The job that an insert has made, as its first attempt needs it.
Job job_of(Insert&& insert, State state) {
  Job job;
  job.id = insert.id;
  job.state = state;
  job.attempt = state == State::running ? 1 : 0;
  job.created_at = insert.job.created_at;
  job.started_at = state == State::running ? job.created_at : jobs::WallTime{};
  job.start_by = insert.job.start_by;
  job.finish_by = insert.job.finish_by;
  job.may_resend = insert.job.may_resend;
  job.route = std::move(insert.job.route);
  job.request_id = std::move(insert.job.request_id);
  job.head = std::move(insert.job.head);
  job.body = std::move(insert.job.body);
  return job;
}

// What the client is told of a job, which itself goes to its attempt.
Job shown_of(const Job& job) {
  Job shown;
  shown.id = job.id;
  shown.state = job.state;
  shown.attempt = job.attempt;
  shown.created_at = job.created_at;
  shown.started_at = job.started_at;
  return shown;
}

class Submission {
 public:
  Submission(Transaction& transaction, const SiteRoute& route, jobs::Prefer prefer)
      : transaction_(transaction),
        services_(transaction.services()),
        route_(route),
        upstream_(services_.upstreams[route.upstream]),
        prefer_(prefer),
        seen_share_(services_.context.bodies.requests, transaction.client_address()) {}

  awaitable<void> run();

 private:
  bool refuse();
  bool take_body_at_hand();
  bool look_at(std::string_view piece);
  awaitable<bool> take_body();
  void describe();
  void settle_key();
  bool try_slot();
  awaitable<void> insert();
  awaitable<void> accepted(Insert insert);
  awaitable<void> repeated(const Insert& insert);
  awaitable<void> tell(Job shown);
  awaitable<bool> answered_in_time(const jobs::JobId& id);
  awaitable<void> hold();
  Job became_job(HeldCall& call, Insert insert);
  awaitable<void> in_line(std::shared_ptr<HeldCall> call);
  bool is_gated() const { return !route_.config->authorize.is_empty(); }

  Transaction& transaction_;
  Services& services_;
  const SiteRoute& route_;
  ShardUpstream& upstream_;
  const jobs::Prefer prefer_;
  jobs::NewJob job_;
  std::unique_ptr<BodyWriter> writer_;  // of a body that was not at hand
  std::string seen_;                    // of such a body, as much as validation looks at
  BodyBudget::Share seen_share_;
  std::optional<jobs::IdempotencyKey> key_;
  jobs::BodyDigest::Value digest_{};
  TimePoint window_end_{};
};

awaitable<void> Submission::run() {
  if (refuse()) co_return;
  const bool at_hand = take_body_at_hand();
  // No body is asked for before its call is allowed.
  const bool allowed_first = !at_hand && is_gated();
  if (allowed_first) {
    if (!is_head_valid(transaction_, route_.rules->validate)) co_return;
    const bool allowed = co_await authorize(transaction_, route_);
    if (!allowed) co_return;
  }
  if (!at_hand) {
    const bool whole = co_await take_body();
    if (!whole) co_return;
  }
  std::optional<std::string_view> body;
  if (job_.body.size != 0) body = writer_ ? std::string_view(seen_) : job_.body.bytes;
  if (!is_valid(transaction_, route_.rules->validate, body)) co_return;
  seen_ = {};
  seen_share_.give();
  if (is_gated() && !allowed_first) {
    const bool allowed = co_await authorize(transaction_, route_);
    if (!allowed) co_return;
  }
  describe();
  // What no attempt could send is refused now.
  RouteCall routed(services_.context.warnings, services_.site, route_, job_.head, job_.request_id,
                   id_to_come);
  if (!may_call(transaction_, routed) || !may_be_job(transaction_, routed)) co_return;
  job_.labels = routed.labels();
  if (!route_.rules->request_body.is_empty()) {
    const bool can_change = co_await may_change_body(transaction_, routed, job_.body);
    if (!can_change) co_return;
  }
  settle_key();
  const milliseconds wait = window_of(route_.config->async, prefer_);
  window_end_ = transaction_.arrived() + wait;
  if (prefer_.wait) {
    transaction_.more_fields.append(
        fmt::format("Preference-Applied: wait={}\r\n",
                    std::chrono::duration_cast<std::chrono::seconds>(wait).count()));
  } else if (prefer_.respond_async) {
    transaction_.more_fields.append("Preference-Applied: respond-async\r\n");
  }
  // With a key the call must be durable before it is sent, or a repetition could start a second
  // one.
  if (wait.count() > 0 && !job_.key && try_slot()) {
    co_await hold();
  } else {
    co_await insert();
  }
}

// What can be refused before the body is read.
bool Submission::refuse() {
  const config::Config& config = services_.site.config();
  const auto pending = services_.pending.count.load(std::memory_order_relaxed);
  if (pending >= static_cast<std::int64_t>(config.jobs.max_pending)) {
    transaction_.respond(
        Problem(503, "queue_full", "Too many jobs are waiting.", nullptr, "Retry-After: 10\r\n"));
    return true;
  }
  std::string problem;
  key_ = key_of(route_.config->async.idempotency_key, transaction_.head().fields, problem);
  if (!problem.empty()) {
    transaction_.respond(Problem(400, "bad_idempotency_key", problem, "bad_request"));
    return true;
  }
  if (!transaction_.head().upgrade.empty()) transaction_.close_after();
  return false;
}

// False: it has not all been received yet, or it is large.
bool Submission::take_body_at_hand() {
  const auto body = transaction_.body_at_hand(services_.site.config().store.inline_max);
  if (!body) return false;
  job_.body = jobs::Body::inline_bytes(std::string(*body));
  if (key_) digest_ = jobs::digest_body(*body);
  return true;
}

// Keeps as much as validation looks at. False: there is no room, and the client was told.
bool Submission::look_at(std::string_view piece) {
  if (!route_.rules->validate.needs_body() || seen_.size() > seen_max) return true;
  if (!seen_share_.take(piece.size())) {
    transaction_.respond(no_room_for_body());
    return false;
  }
  seen_.append(piece);
  return true;
}

// False: it could not be had, and the client was told.
awaitable<bool> Submission::take_body() {
  writer_ = std::make_unique<BodyWriter>(
      services_.store(), services_.site.config().store.inline_max, store::SpoolUse::request);
  jobs::BodyDigest digest;
  while (true) {
    const Result<std::string_view> piece = co_await transaction_.read_body();
    if (!piece) co_return false;
    if (piece->empty()) break;
    if (key_) digest.update(*piece);
    if (!look_at(*piece)) co_return false;
    if (writer_->try_append(*piece)) continue;
    const Result<void> kept = co_await writer_->append(*piece);
    if (!kept) {
      services_.context.warnings.unstored_body(kept.error().detail);
      transaction_.respond(problem_of(kept.error()));
      co_return false;
    }
  }
  if (key_) digest_ = digest.finish();
  job_.body = writer_->name();
  co_return true;
}

void Submission::describe() {
  apply_terms(job_, route_, transaction_.head().method, services_.timers().wall_now());
  job_.random = services_.entropy.random();
  job_.request_id = transaction_.request_id();
  job_.head.reserve(512);
  transaction_.append_stored(job_.head);
}

void Submission::settle_key() {
  if (!key_) return;
  const std::string caller = caller_of(route_.config->authorize, job_.head);
  job_.key = jobs::make_key(route_.config->name, caller, key_->text, transaction_.head().method,
                            transaction_.target().text, digest_);
}

// A slot, if nobody is before this call, and it is not for the next process.
bool Submission::try_slot() {
  const Slots& slots = *upstream_.slots;
  return !services_.draining && !slots.held() && !slots.paused() && !route_.known->paused &&
         !slots.has_backlog() && upstream_.queue->empty() && upstream_.slots->try_take();
}

awaitable<void> Submission::insert() {
  if (writer_) {
    const Result<void> synced = co_await writer_->sync();
    if (!synced) {
      transaction_.respond(problem_of(synced.error()));
      co_return;
    }
  }
  Insert command;
  command.job = std::move(job_);
  command.start = try_slot();
  const bool has_slot = command.start;
  Result<Insert> inserted = co_await services_.store().apply(std::move(command));
  if (!inserted) {
    if (has_slot) upstream_.slots->give();
    transaction_.respond(problem_of(inserted.error()));
    co_return;
  }
  const bool runs = inserted->outcome == Insert::Outcome::running;
  if (has_slot && !runs) upstream_.slots->give();
  co_await accepted(std::move(*inserted));
}

awaitable<void> Submission::accepted(Insert insert) {
  Job job;
  switch (insert.outcome) {
    case Insert::Outcome::existed:
      co_await repeated(insert);
      co_return;
    case Insert::Outcome::key_reused:
      transaction_.respond(
          Problem(422, "key_reused", "This idempotency key was used with another request."));
      co_return;
    case Insert::Outcome::running:
      if (writer_) writer_->release();
      count_accepted(services_, route_);
      job = job_of(std::move(insert), State::running);
      break;
    case Insert::Outcome::queued:
      if (writer_) writer_->release();
      count_accepted(services_, route_);
      job = job_of(std::move(insert), State::queued);
      upstream_.inserted(route_.lane);
      break;
  }
  Job shown = shown_of(job);
  if (job.state == State::running) upstream_.runner->start(std::move(job));
  co_await tell(std::move(shown));
}

// The result in line, if it comes within the window, else where the job is.
awaitable<void> Submission::tell(Job shown) {
  if (window_end_ > services_.timers().now()) {
    const bool answered = co_await answered_in_time(shown.id);
    if (answered) co_return;
  }
  accept(transaction_, route_, shown);
}

// The same key again: the same job, whatever it has become.
awaitable<void> Submission::repeated(const Insert& insert) {
  store::Find find;
  find.id = insert.id;
  const Result<store::Find> found = co_await services_.store().find(std::move(find));
  if (!found || found->presence != store::Presence::present) {
    // Erased meanwhile, and its key with it: the same request will be a new job.
    const Error error = found ? Error(Fault::overloaded, "the job was erased") : found.error();
    transaction_.respond(problem_of(error));
    co_return;
  }
  accept(transaction_, route_, found->job);
}

// Waits out the window of a job. True: it ended, and its result was given in line.
awaitable<bool> Submission::answered_in_time(const jobs::JobId& id) {
  Bulletin::Watch changes(services_.bulletin, id.place.key());
  bool gone = false;
  ClientWatch watch(transaction_.connection(), services_.timers(), [&gone, &changes] {
    gone = true;
    changes.notify();
  });
  while (true) {
    store::Find find;
    find.id = id;
    find.with_response = true;
    const Result<store::Find> found = co_await services_.store().find(std::move(find));
    if (!found || found->presence != store::Presence::present) co_return false;
    if (jobs::is_final(found->job.state)) {
      co_await give_result(transaction_, found->job);
      co_return true;
    }
    const bool is_queued = found->job.state == State::queued;
    const bool is_left_to_next_process =
        services_.draining && (is_queued || !found->job.monitor.empty());
    const bool is_over = services_.timers().now() >= window_end_;
    if (gone || is_over || is_left_to_next_process) co_return false;
    co_await changes.wait(window_end_);
  }
}

awaitable<void> Submission::hold() {
  auto call = std::make_shared<HeldCall>(services_, route_, job_);
  if (!may_call(transaction_, call->routed)) {
    upstream_.slots->give();
    co_return;
  }
  call->runner = upstream_.runner.get();
  call->began = services_.timers().now();
  Call described;
  described.head = call->routed.head();
  described.host = call->routed.host();
  described.key = call->routed.balance_key();
  described.body = &call->body;
  described.may_resend = job_.may_resend;
  described.deadline = call->began + upstream_.config->timeouts.attempt;
  if (route_.rules->follow.enabled()) described.follow = &route_.rules->follow;
  described.into = &call->answer;
  described.routed = &call->routed;
  call->exchange = std::make_unique<PoolExchange>(*upstream_.pool, described);
  services_.tasks.spawn(run_held(call));

  bool gone = false;
  const auto leave = [&gone, &call] {
    gone = true;
    call->exchange->abort();
  };
  std::optional<ClientWatch> watch;
  watch.emplace(transaction_.connection(), services_.timers(), leave);
  co_await call->answered.wait(window_end_);
  if ((!call->is_answered || call->exchange->is_pending()) && !gone) {
    // The window is over, or the backend goes on with it by itself: the same running call is made
    // durable. If that fails the client goes on waiting, for a 503 would make it call again. A
    // client that leaves now leaves a job behind.
    watch.reset();
    bool durable = true;
    if (writer_) {
      const Result<void> synced = co_await writer_->sync();
      durable = synced.has_value();
    }
    if (durable) {
      Insert command;
      command.job = job_;
      command.job.lane = route_.held_lane;
      command.start = command.under_way = true;
      Result<Insert> inserted = co_await services_.store().apply(std::move(command));
      if (inserted && inserted->outcome == Insert::Outcome::running) {
        Job shown = became_job(*call, std::move(*inserted));
        co_await tell(std::move(shown));
        co_return;
      }
    }
    watch.emplace(transaction_.connection(), services_.timers(), leave);
    if (!call->is_answered) co_await call->answered.wait(never);
  }
  watch.reset();
  call->verdict.notify();
  if (gone) {
    if (!call->is_answered) co_await call->answered.wait(never);
    transaction_.set_reason("client_closed");
    transaction_.cut_short();
    services_.tasks.spawn(outlast(call, upstream_));
    co_return;
  }
  co_await in_line(call);
}

// What the client is told of it.
Job Submission::became_job(HeldCall& call, Insert insert) {
  if (writer_) writer_->release();
  count_accepted(services_, route_);
  Job job = job_of(std::move(insert), State::running);
  Job shown = shown_of(job);
  upstream_.runner->expect(job.id.place.key(), *call.exchange);
  call.job = std::move(job);
  call.verdict.notify();
  return shown;
}

// The answer came within the window: it is the client's, and nothing was written.
awaitable<void> Submission::in_line(std::shared_ptr<HeldCall> call) {
  const Result<void> begun = co_await call->exchange->begin();
  std::unique_ptr<UpstreamConnection>& connection = call->exchange->connection();
  if (!begun && !call->exchange->sent()) {
    // Nothing was sent: as a job the call can wait for its backend.
    upstream_.slots->give();
    window_end_ = {};
    co_await insert();
    co_return;
  }
  bool whole = false;
  if (begun) {
    co_await relay(transaction_, *connection, call->routed);
    whole = connection->body_done();
  } else {
    transaction_.respond(problem_of(begun.error()));
  }
  CallEnd end;
  end.connection = connection.get();
  end.done = begun;
  log_call(transaction_, *upstream_.config, route_, call->began, end);
  if (whole) {
    upstream_.pool->release(std::move(connection));
    upstream_.slots->give();
  } else {
    services_.tasks.spawn(outlast(call, upstream_));
  }
}

awaitable<void> submit(Transaction& transaction, const SiteRoute& route, jobs::Prefer prefer) {
  Submission submission(transaction, route, prefer);
  co_await submission.run();
}

}  // namespace

awaitable<void> submit_or_forward(Transaction& transaction, const SiteRoute& route) {
  const config::Async& async = route.config->async;
  const jobs::Prefer prefer = prefer_of(transaction.head().fields);
  if (async.mode == config::Mode::prefer) transaction.more_fields.append("Vary: Prefer\r\n");
  if (makes_job(async, prefer, transaction.head())) return submit(transaction, route, prefer);
  return forward(transaction, route);
}

}  // namespace raincheck::proxy
