#include "proxy/followed_call.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "jobs/decide.hpp"

namespace raincheck::proxy {

using jobs::Fault;
using jobs::milliseconds;
using jobs::Result;
using routes::FollowStage;
using Kind = routes::FollowStep::Kind;

namespace {

// From where the result was said to be, in a row.
constexpr int redirects_max = 5;

// The backend of such a call has the result at the URL of the call itself.
bool changes_its_target(std::string_view call) {
  return call.starts_with("PUT ") || call.starts_with("PATCH ");
}

}  // namespace

// One GET, made anew each time, so that the secrets of the rules are those of today.
struct FollowedCall::Question {
  explicit Question(const FollowedCall& of)
      : routed(of.context_.warnings, of.site_, of.route_, of.job_.head, of.job_.request_id, of.id_),
        body(of.context_.store, of.site_.config().store.inline_max) {}

  RouteCall routed;
  BodyWriter body;
  const jobs::Body no_body;
  std::string head;
  std::unique_ptr<Exchange> exchange;
};

FollowedCall::FollowedCall(ShardContext context,
                           const Site& site,
                           const SiteRoute& route,
                           Upstream& upstream,
                           const jobs::Job& job,
                           std::string id,
                           Events events)
    : context_(context),
      site_(site),
      route_(route),
      config_(site.config().upstreams[route.upstream]),
      upstream_(upstream),
      job_(job),
      events_(std::move(events)),
      id_(std::move(id)),
      monitor_(jobs::Monitor::parse(job.monitor).value_or(jobs::Monitor())),
      recorded_(job.monitor),
      target_(monitor_.target),
      nothing_(context.store, 0),
      news_(context.io, context.timers) {}

FollowedCall::~FollowedCall() = default;

void FollowedCall::begin(Reply accepted) {
  reply_ = std::move(accepted);
  stage_ = FollowStage::call;
  RouteCall routed(context_.warnings, site_, route_, job_.head, job_.request_id, id_);
  (void)routed.make();
  const std::string_view line = routed.head().substr(0, routed.head().find("\r\n"));
  target_ = line.substr(line.find(' ') + 1);
}

BodyWriter& FollowedCall::body() {
  return question_ ? question_->body : nothing_;
}

void FollowedCall::abort() {
  aborted_ = true;
  if (question_ && question_->exchange) question_->exchange->abort();
  news_.notify();
}

awaitable<Reply> FollowedCall::run() {
  bool goes_on = true;
  if (stage_ == FollowStage::call) goes_on = co_await take();
  while (goes_on && !aborted_) {
    co_await ask();
    goes_on = co_await take();
  }
  const bool is_result = !reply_.fault && reply_.step.kind == Kind::result;
  if (aborted_ && !is_result) fail(Fault::stopping, "left to another attempt");
  reply_.followed = !recorded_.empty();
  co_return std::move(reply_);
}

awaitable<void> FollowedCall::ask() {
  question_ = std::make_unique<Question>(*this);
  RouteCall& routed = question_->routed;
  reply_ = Reply();
  if (routed.make() != routes::RouteRules::Made::done) {
    spdlog::error("route {}: a backend cannot be asked: {}", job_.route, routed.why());
    fail(Fault::internal, routed.why());
    co_return;
  }
  question_->head = routes::question_of(routed.head(), target_);
  Call call;
  call.head = question_->head;
  call.host = routed.host();
  call.body = &question_->no_body;
  call.may_resend = true;
  const milliseconds time = std::min(config_.timeouts.attempt, time_left());
  call.deadline = context_.timers.now() + time;
  call.ends_early = time < config_.timeouts.attempt;
  call.key = routed.balance_key();
  call.server = monitor_.server;
  call.follow = &route_.rules->follow;
  call.stage = stage_;
  call.knows_result = !monitor_.result.empty();
  call.tells_status = tells_status_;
  call.into = &question_->body;
  call.routed = &routed;
  question_->exchange = upstream_.open(call);
  reply_ = co_await question_->exchange->run();
  question_->exchange.reset();
  spdlog::debug("route {}: request {}: asked for its result: {}", job_.route, job_.request_id,
                reply_.fault ? jobs::fault_name(*reply_.fault) : std::to_string(reply_.status));
}

// Whether there is more to ask, which is due then. If not, reply_ is the last word.
awaitable<bool> FollowedCall::take() {
  const bool is_answer = !reply_.fault && reply_.step.kind != Kind::result;
  if (!is_answer && (aborted_ || !may_ask_again())) co_return false;
  if (is_answer) {
    events_.available();
    if (!aim()) co_return false;
    const bool recorded = co_await remember();
    if (!recorded) co_return false;
    if (reply_.step.kind == Kind::moved) co_return true;
  }
  co_return co_await pause();
}

bool FollowedCall::may_ask_again() {
  jobs::Attempt attempt;
  attempt.number = job_.attempt;
  attempt.followed = true;
  attempt.now = context_.timers.wall_now();
  attempt.start_by = job_.start_by;
  attempt.finish_by = job_.finish_by;
  const jobs::Decision decision =
      jobs::decide(outcome_of(reply_, attempt.now), attempt, route_.decisions);
  if (decision.action != jobs::Decision::Action::ask) return false;
  // That the one of several servers that knows of the call is away says nothing of the others.
  const bool is_one_of_many =
      reply_.fault == Fault::upstream_unreachable && config_.servers.size() > 1;
  if (decision.hold_upstream && !is_one_of_many) events_.unavailable(decision.hold_for);
  return true;
}

// From what the backend has answered, to where it says to ask. False: that is not to be asked.
bool FollowedCall::aim() {
  const routes::FollowStep& step = reply_.step;
  if (step.kind == Kind::pending) {
    redirects_ = 0;
    tells_status_ = tells_status_ || reply_.status != 202;
    return step.url.empty() || aim_at_monitor();
  }
  if (stage_ == FollowStage::result && ++redirects_ > redirects_max) {
    return go_astray("the result is behind too many redirects", step.url);
  }
  stage_ = FollowStage::result;
  if (step.url.empty()) {
    target_ = monitor_.result;
    return true;
  }
  RouteCall routed(context_.warnings, site_, route_, job_.head, job_.request_id, id_);
  const auto own = routed.own_url(target_, step.url);
  if (!own) return go_astray("the result is elsewhere than at this upstream", step.url);
  monitor_.server = server_of(*own);
  target_ = own->target;
  return true;
}

bool FollowedCall::aim_at_monitor() {
  const routes::FollowStep& step = reply_.step;
  RouteCall routed(context_.warnings, site_, route_, job_.head, job_.request_id, id_);
  const auto own = routed.own_url(target_, step.url);
  if (!own) return go_astray("the backend says to ask elsewhere than at this upstream", step.url);
  if (stage_ == FollowStage::call) {
    const auto result = routed.own_url(target_, step.result);
    if (result) {
      monitor_.result = result->target;
    } else if (step.result.empty() && changes_its_target(job_.head)) {
      monitor_.result = target_;
    }
  }
  monitor_.server = server_of(*own);
  monitor_.target = target_ = own->target;
  stage_ = FollowStage::monitor;
  return true;
}

// The one that the URL names, or that has answered.
std::string FollowedCall::server_of(const routes::UrlMap::OwnUrl& url) const {
  return url.server ? config_.servers[*url.server].authority : reply_.server;
}

// False: the job is not this attempt's any more, or nothing can be recorded.
awaitable<bool> FollowedCall::remember() {
  if (stage_ == FollowStage::result || monitor_.text() == recorded_) co_return true;
  store::Follow command;
  command.fence = store::Fence{job_.id.place, job_.attempt, 0};
  command.monitor = monitor_.text();
  Result<store::Follow> recorded = co_await context_.store.apply(command);
  while (!recorded && !aborted_ && jobs::is_passing(recorded.error().fault)) {
    co_await news_.wait(context_.timers.now() + full_disk_pause);
    recorded = co_await context_.store.apply(command);
  }
  if (!recorded || !recorded->applied) {
    fail(Fault::stopping, "where to ask cannot be recorded");
    co_return false;
  }
  recorded_ = command.monitor;
  co_return true;
}

// Until it is time to ask again. False: it will not be.
awaitable<bool> FollowedCall::pause() {
  const auto told = jobs::parse_retry_after(reply_.retry_after, context_.timers.wall_now());
  const milliseconds time = route_.rules->follow.pause(told, count_++);
  co_await news_.wait(context_.timers.now() + std::min(time, time_left()));
  if (aborted_) co_return false;
  if (time_left().count() > 0) co_return true;
  fail(Fault::upstream_timeout, "the backend was not done within job_timeout");
  co_return false;
}

milliseconds FollowedCall::time_left() const {
  return std::max(milliseconds(0), job_.finish_by - context_.timers.wall_now());
}

// Instead of what was answered.
void FollowedCall::fail(Fault fault, std::string detail) {
  reply_.fault = fault;
  reply_.detail = std::move(detail);
}

bool FollowedCall::go_astray(std::string detail, std::string_view url) {
  const std::string origin = routes::UrlMap::origin_of(url);
  if (!origin.empty()) detail.append(": ").append(origin);
  fail(Fault::upstream_protocol_error, std::move(detail));
  reply_.astray = true;
  return false;
}

}  // namespace raincheck::proxy
