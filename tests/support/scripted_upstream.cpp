#include "tests/support/scripted_upstream.hpp"

#include <algorithm>
#include <array>

namespace raincheck::test {

using jobs::Fault;
using jobs::Result;
using proxy::awaitable;
using proxy::Reply;
using proxy::TimePoint;
using Kind = Script::Kind;

namespace {

std::string target_of(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  return std::string(line.substr(line.find(' ') + 1));
}

class ScriptedExchange final : public proxy::Exchange {
 public:
  ScriptedExchange(boost::asio::io_context& io,
                   proxy::Timers& timers,
                   ScriptedPeer& peer,
                   config::OnAbort on_abort,
                   const proxy::Call& call)
      : timers_(timers), peer_(peer), on_abort_(on_abort), call_(call), news_(io, timers) {
    made_.target = target_of(call.head);
    made_.may_resend = call.may_resend;
    made_.began = timers.now();
    made_.script = peer.script(made_);
    made_.backend_ends = made_.began + made_.script.after;
  }

  awaitable<Reply> run() override;
  void abort() override;
  awaitable<void> settle(TimePoint limit) override;

 private:
  Reply fault_of_script() const;
  routes::FollowStep step() const;
  awaitable<Reply> answer();
  awaitable<Result<void>> take(std::string_view bytes);

  proxy::Timers& timers_;
  ScriptedPeer& peer_;
  const config::OnAbort on_abort_;
  const proxy::Call call_;
  ScriptedCall made_;
  proxy::Signal news_;
};

Reply fault(Fault fault, bool sent) {
  Reply reply;
  reply.fault = fault;
  reply.sent = sent;
  return reply;
}

awaitable<Reply> ScriptedExchange::run() {
  peer_.targets.push_back(made_.target);
  if (made_.script.executes()) ++peer_.executed[made_.target];
  peer_.most_running = std::max(peer_.most_running, ++peer_.running);
  peer_.begun(made_);
  const TimePoint until = std::min(call_.deadline, made_.backend_ends);
  while (!made_.aborted && timers_.now() < until) co_await news_.wait(until);
  Reply reply;
  if (made_.aborted) {
    reply = fault(made_.script.sends() ? Fault::upstream_lost : Fault::upstream_unreachable,
                  made_.script.sends());
  } else if (until < made_.backend_ends) {
    reply = fault(Fault::upstream_timeout, made_.script.sends());
  } else {
    reply = co_await answer();
  }
  made_.answered = !reply.fault;
  --peer_.running;
  peer_.ended(made_);
  co_return reply;
}

Reply ScriptedExchange::fault_of_script() const {
  switch (made_.script.kind) {
    case Kind::refuse:
      return fault(Fault::upstream_unreachable, false);
    case Kind::lost_unsent:
      return fault(Fault::upstream_lost, false);
    case Kind::lost_unread:
    case Kind::lost:
      return fault(Fault::upstream_lost, true);
    case Kind::garbage:
    case Kind::truncated:
      return fault(Fault::upstream_protocol_error, true);
    case Kind::too_large:
      return fault(Fault::response_too_large, true);
    case Kind::answer:
      break;
  }
  return fault(Fault::internal, true);
}

awaitable<Reply> ScriptedExchange::answer() {
  const Script& script = made_.script;
  Reply reply;
  reply.step = step();
  const bool begins = script.kind == Kind::answer || script.kind == Kind::truncated ||
                      script.kind == Kind::too_large;
  const bool is_result = reply.step.kind == routes::FollowStep::Kind::result;
  if (begins && is_result) {
    std::string_view body = script.body;
    if (script.kind != Kind::answer) body = body.substr(0, body.size() / 2);
    const Result<void> taken = co_await take(body);
    if (!taken) co_return fault(taken.error().fault, true);
  }
  if (script.kind != Kind::answer) co_return fault_of_script();
  reply.sent = true;
  reply.status = script.status;
  reply.head = "X-Target: " + made_.target + "\r\n" + script.fields;
  reply.rejected = reply.step.rejected;
  reply.server = "127.0.0.1";
  reply.retry_after = script.retry_after;
  co_return reply;
}

routes::FollowStep ScriptedExchange::step() const {
  if (!call_.follow || made_.script.kind != Kind::answer) return {};
  routes::Fields fields;
  fields.assign(made_.script.fields);
  routes::FollowedAnswer answer;
  answer.status = made_.script.status;
  answer.fields = &fields;
  answer.body = made_.script.body;
  answer.knows_result = call_.knows_result;
  answer.tells_status = call_.tells_status;
  return call_.follow->read(call_.stage, answer);
}

awaitable<Result<void>> ScriptedExchange::take(std::string_view bytes) {
  // In two pieces, so that a spooled body is moved and then goes on.
  const std::array<std::string_view, 2> pieces{bytes.substr(0, bytes.size() / 3),
                                               bytes.substr(bytes.size() / 3)};
  for (const std::string_view piece : pieces) {
    if (call_.into->try_append(piece)) continue;
    const Result<void> kept = co_await call_.into->append(piece);
    if (!kept) co_return kept;
  }
  co_return Result<void>();
}

void ScriptedExchange::abort() {
  made_.aborted = true;
  news_.notify();
}

awaitable<void> ScriptedExchange::settle(TimePoint limit) {
  const TimePoint until = std::min(limit, made_.backend_ends);
  const bool drains = on_abort_ == config::OnAbort::drain && made_.script.sends();
  made_.aborted = false;
  while (drains && !made_.aborted && timers_.now() < until) co_await news_.wait(until);
  peer_.settled(made_);
}

}  // namespace

std::unique_ptr<proxy::Exchange> ScriptedUpstream::open(const proxy::Call& call) {
  return std::make_unique<ScriptedExchange>(io_, timers_, peer_, on_abort_, call);
}

}  // namespace raincheck::test
