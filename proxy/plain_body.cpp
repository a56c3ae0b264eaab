#include "proxy/plain_body.hpp"

#include <fmt/format.h>

#include "proxy/call_body.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;
using routes::BodyPlan;
using routes::BodyRewriter;

namespace {

constexpr std::size_t first_bytes_max = 64 * 1024;
// What is in memory is changed in pieces, so that what they grow to never is.
constexpr std::size_t piece_bytes = 16 * 1024;

}  // namespace

// So much of the body is read before a slot is taken, if it is that long.
std::uint64_t PlainBody::read_max() const {
  if (!plan_) return first_bytes_max;
  const std::uint64_t max_size = rules().max_size();
  if (transaction_.head().framing == Framing::length) {
    const bool fits = transaction_.head().content_length <= max_size;
    return fits ? max_size : first_bytes_max;
  }
  return plan_->way == BodyPlan::Way::whole ? max_size + 1 : first_bytes_max;
}

awaitable<bool> PlainBody::begin(RouteCall& routed) {
  routed_ = &routed;
  is_chunked_ = transaction_.head().framing == Framing::chunked;
  if (!decide()) co_return false;
  whole_ = transaction_.body_at_hand();
  if (!whole_) {
    const bool is_there = co_await read_first();
    if (!is_there) co_return false;
  }
  const bool is_empty = whole_ && whole_->empty();
  const bool is_good = !plan_ || is_empty || change();
  if (!whole_ && !rewriter_) first_ = std::move(read_);
  co_return is_good;
}

// False: the route refuses the body whatever is in it, and the client was told.
bool PlainBody::decide() {
  const RequestHead& head = transaction_.head();
  const bool is_empty = head.framing == Framing::length && head.content_length == 0;
  if (!transaction_.has_body() || is_empty || rules().is_empty()) return true;
  const RouteCall::BodyDecision decision = routed_->decide_body(values_);
  if (decision.status != 0) return refuse(decision.status, decision.why);
  if (decision.is_changed) plan_ = &routed_->body_plan();
  return true;
}

// False: the client was answered, or has gone.
awaitable<bool> PlainBody::read_first() {
  const std::uint64_t size_max = read_max();
  // Of a body whose length is not known only what is there, unless all of it is needed: its sender
  // may be waiting for an answer.
  const bool needs_all = plan_ && plan_->way == BodyPlan::Way::whole;
  const bool waits = needs_all || transaction_.head().framing == Framing::length;
  while (!transaction_.body_done() && read_.size() < size_max) {
    if (!waits && !read_.empty() && !transaction_.has_more_at_hand()) break;
    const Result<std::string_view> piece = co_await transaction_.read_body();
    if (!piece || !reserve(piece->size())) co_return false;
    read_.append(*piece);
  }
  if (transaction_.body_done()) whole_ = read_;
  co_return true;
}

// Of what is not changed so little is held that it counts as the connection's. False: there is no
// room, and the client was told.
bool PlainBody::reserve(std::uint64_t bytes) {
  if (!plan_ || share_.take(bytes)) return true;
  transaction_.respond(no_room_for_body());
  return false;
}

bool PlainBody::refuse(int status, const std::string& why) {
  transaction_.respond(unchangeable_body(status, why));
  return false;
}

// The body goes on as it is, if the route does not refuse it.
bool PlainBody::pass(const BodyRewriter::Rewritten& unchanged) {
  if (unchanged.is_refused) return refuse(unchanged.status, unchanged.why);
  routed_->warn_of_call(unchanged.why);
  return true;
}

// False: the route refuses it, and the client was told.
bool PlainBody::change() {
  if (whole_) return change_whole();
  if (plan_->way == BodyPlan::Way::streamed) return begin_stream();
  return pass(BodyRewriter(rules(), *plan_, values_).too_long());
}

bool PlainBody::change_whole() {
  BodyRewriter::Rewritten made = BodyRewriter(rules(), *plan_, values_).rewrite(*whole_);
  if (made.body) {
    first_ = std::move(*made.body);
    whole_ = first_;
    read_ = {};
    share_.give();
    return reserve(first_.size());
  }
  // Only JSON has to be in memory.
  const bool is_long = plan_->way == BodyPlan::Way::streamed && made.status == 413;
  return is_long ? begin_stream() : pass(made);
}

bool PlainBody::begin_stream() {
  rewriter_.emplace(rules(), *plan_, values_);
  unread_ = whole_ ? *whole_ : read_;
  const std::string_view piece = unread_.substr(0, piece_bytes);
  std::string bad = rewriter_->write(piece, first_);
  if (bad.empty()) {
    unread_.remove_prefix(piece.size());
    whole_.reset();
    is_chunked_ = true;
    return true;
  }
  const BodyRewriter::Rewritten unchanged = rewriter_->undecodable(std::move(bad));
  rewriter_.reset();
  first_.clear();
  return pass(unchanged);
}

void PlainBody::append_framing(std::string& head) const {
  const bool has_body = transaction_.head().framing != Framing::none;
  if (is_chunked_ && !whole_) {
    head.append("Transfer-Encoding: chunked\r\n");
  } else if (has_body || says_length(transaction_.head().method)) {
    const std::uint64_t size = whole_ ? whole_->size() : transaction_.head().content_length;
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", size);
  }
}

awaitable<Result<std::string_view>> PlainBody::read() {
  if (unread_.empty()) co_return co_await transaction_.read_body();
  const std::string_view piece = unread_.substr(0, piece_bytes);
  unread_.remove_prefix(piece.size());
  co_return piece;
}

awaitable<Result<std::string_view>> PlainBody::next() {
  if (!rewriter_) co_return co_await transaction_.read_body();
  given_.clear();
  while (given_.empty() && !is_over_) {
    const Result<std::string_view> piece = co_await read();
    if (!piece) co_return piece.error();
    is_over_ = piece->empty();
    std::string bad = is_over_ ? rewriter_->finish(given_) : rewriter_->write(*piece, given_);
    if (!bad.empty()) {
      is_undecodable_ = true;
      // The backend has a part of it: it must not take that for all.
      transaction_.close_after();
      if (!transaction_.response_begun()) refuse(415, bad);
      co_return Error(Fault::client_gone, std::move(bad));
    }
    // A stream that comes slowly is not held back until its coder has enough.
    const bool is_slow = unread_.empty() && !transaction_.has_more_at_hand();
    if (!is_over_ && given_.empty() && is_slow) rewriter_->flush(given_);
  }
  co_return std::string_view(given_);
}

}  // namespace raincheck::proxy
