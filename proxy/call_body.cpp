#include "proxy/call_body.hpp"

#include <spdlog/spdlog.h>

#include "proxy/handlers.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;
using routes::BodyPlan;
using routes::BodyRewriter;

Error CallBody::refuse(int status, std::string why) {
  status_ = status;
  return Error(Fault::internal, std::move(why));
}

// The body goes on as it is, if the route does not refuse it.
Result<void> CallBody::pass(const BodyRewriter::Rewritten& unchanged) {
  if (unchanged.is_refused) return refuse(unchanged.status, unchanged.why);
  routed_->warn_of_call(unchanged.why);
  return {};
}

// False: nothing changes it, or nothing can and it is passed on as it is.
Result<bool> CallBody::has_to_change() {
  if (!has_rules()) return false;
  const RouteCall::BodyDecision decision = routed_->decide_body(values_);
  if (decision.status != 0) return refuse(decision.status, decision.why);
  return decision.is_changed;
}

awaitable<Result<void>> CallBody::begin(TimePoint deadline, const bool& is_aborted) {
  const Result<bool> changes = has_to_change();
  if (!changes) co_return changes.error();
  if (!*changes) co_return Result<void>();
  const bool is_streamed = routed_->body_plan().way == BodyPlan::Way::streamed;
  if (is_streamed && body_.spool != 0) co_return co_await count(is_aborted);
  BodyRewriter::Rewritten made = BodyRewriter(rules(), routed_->body_plan(), values_).too_long();
  if (body_.size <= rules().max_size()) {
    const Result<void> reserved = co_await reserve(deadline, is_aborted);
    if (!reserved) co_return reserved;
    const Result<void> read = co_await change_whole(made);
    if (!read) co_return read;
  }
  if (made.body) {
    made_ = std::move(made.body);
    size_ = made_->size();
    co_return Result<void>();
  }
  share_.give();
  // Only JSON has to be in memory.
  if (is_streamed && made.status == 413) co_return co_await count(is_aborted);
  co_return pass(made);
}

awaitable<Result<void>> CallBody::try_out() {
  const Result<bool> changes = has_to_change();
  if (!changes) co_return changes.error();
  if (!*changes || !rules().refuses()) co_return Result<void>();
  const BodyPlan& plan = routed_->body_plan();
  const bool is_plain_text =
      plan.way == BodyPlan::Way::streamed && plan.coding == routes::ContentCoding::identity;
  if (is_plain_text) co_return Result<void>();
  const bool is_aborted = false;
  const TimePoint at_once{};
  co_return co_await begin(at_once, is_aborted);
}

// All of it is taken at once, so that bodies never wait for each other.
awaitable<Result<void>> CallBody::reserve(TimePoint deadline, const bool& is_aborted) {
  while (!share_.take(body_.size)) {
    if (is_aborted) co_return Error(Fault::upstream_unreachable, "aborted before connecting");
    if (context_.timers.now() >= deadline) {
      co_return Error(Fault::overloaded, "waiting for memory for the body of the call");
    }
    Signal pause(context_.io, context_.timers);
    co_await pause.wait(context_.timers.now() + room_pause);
  }
  co_return Result<void>();
}

awaitable<Result<std::string>> CallBody::read_whole() {
  BodyReader reader(context_.store, body_);
  std::string whole;
  while (true) {
    const Result<std::string_view> piece = co_await reader.next();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return whole;
    whole.append(*piece);
  }
}

awaitable<Result<void>> CallBody::change_whole(BodyRewriter::Rewritten& made) {
  const Result<std::string> whole = co_await read_whole();
  if (!whole) co_return whole.error();
  made = BodyRewriter(rules(), routed_->body_plan(), values_).rewrite(*whole);
  co_return Result<void>();
}

// The first pass over a body that is not held in memory.
awaitable<Result<void>> CallBody::count(const bool& is_aborted) {
  rewind();
  is_streamed_ = true;
  std::uint64_t size = 0;
  while (true) {
    if (is_aborted) co_return Error(Fault::upstream_unreachable, "aborted before connecting");
    const Result<bool> more = co_await rewrite_next();
    if (!more) co_return more.error();
    size += given_.size();
    if (!bad_.empty()) {
      is_streamed_ = false;
      co_return pass(rewriter_->undecodable(bad_));
    }
    if (!*more) break;
  }
  size_ = size;
  co_return Result<void>();
}

void CallBody::rewind() {
  reader_.emplace(context_.store, body_);
  rewriter_.reset();
  given_bytes_ = 0;
}

// One piece of the stored body into given_, which may come out empty. False: it was the end.
awaitable<Result<bool>> CallBody::rewrite_next() {
  if (!rewriter_) rewriter_.emplace(rules(), routed_->body_plan(), values_);
  const Result<std::string_view> piece = co_await reader_->next();
  if (!piece) co_return piece.error();
  given_.clear();
  const bool is_end = piece->empty();
  bad_ = is_end ? rewriter_->finish(given_) : rewriter_->write(*piece, given_);
  co_return !is_end;
}

awaitable<Result<std::string_view>> CallBody::next() {
  if (!is_streamed_) co_return co_await reader_->next();
  const Error changed(Fault::internal, "a stored body is not what it was when it was counted");
  if (given_bytes_ == size_) co_return std::string_view();
  bool more = true;
  do {
    const Result<bool> gave = co_await rewrite_next();
    if (!gave) co_return gave.error();
    more = *gave;
  } while (given_.empty() && more && bad_.empty());
  given_bytes_ += given_.size();
  if (given_.empty() || !bad_.empty() || given_bytes_ > size_) co_return changed;
  co_return std::string_view(given_);
}

Problem unchangeable_body(int status, const std::string& why) {
  if (status == 500) {
    spdlog::error("a call cannot be made: {}", why);
    return problem_of(Error(Fault::internal, why));
  }
  return Problem(
      status, "unchangeable_body",
      "This route changes the bodies of its requests, and cannot change this one: " + why + ".");
}

Problem no_room_for_body() {
  return Problem(503, "overloaded", "Too many bodies are being checked or changed.", "queue_full",
                 "Retry-After: 1\r\n");
}

awaitable<bool> may_change_body(Transaction& transaction,
                                RouteCall& routed,
                                const jobs::Body& body) {
  ShardContext& context = transaction.services().context;
  CallBody changed(context, context.bodies.requests, body, &routed);
  const Result<void> tried = co_await changed.try_out();
  if (tried) co_return true;
  const Error error = tried.error();
  if (error.fault == Fault::overloaded) {
    transaction.respond(no_room_for_body());
  } else if (changed.status() != 0) {
    transaction.respond(unchangeable_body(changed.status(), error.detail));
  } else {
    transaction.respond(problem_of(error));
  }
  co_return false;
}

}  // namespace raincheck::proxy
