#include "proxy/answer_body.hpp"

#include <algorithm>

#include "routes/body_fields.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;
using routes::BodyPlan;

AnswerBody::AnswerBody(ShardContext& context,
                       UpstreamConnection& connection,
                       RouteCall* routed,
                       bool head_request)
    : context_(context),
      connection_(connection),
      routed_(routed),
      is_of_head_(head_request),
      status_(connection.head().status),
      share_(context.bodies.answers) {
  const ResponseHead& head = connection.head();
  if (head.framing == Framing::length) size_ = head.content_length;
  if (!routed) return;
  content_type_ = head.fields.find("Content-Type").value_or("");
  content_encoding_ = routes::content_encoding_of(head.fields);
  looks_ = routed->rules().success.needs_body() && !head_request;
  if (head_request || head.framing == Framing::none) return;
  routes::BodyFacts facts;
  facts.content_type = content_type_;
  facts.content_encoding = content_encoding_;
  facts.is_partial = head.status == 206 || head.fields.find("Content-Range").has_value();
  plan_ = BodyPlan::make(routed->rules().response_body, facts);
}

// As it comes, remembering its beginning where that decides.
awaitable<Result<std::string_view>> AnswerBody::read() {
  if (!ahead_.empty()) {
    read_ahead_ = std::exchange(ahead_, {});
    co_return std::string_view(read_ahead_);
  }
  const Result<std::string_view> piece = co_await connection_.read_body();
  if (looks_ && piece) {
    const std::size_t room = routes::SuccessCheck::look_bytes - seen_.size();
    seen_.append(piece->substr(0, room));
    is_seen_whole_ = is_seen_whole_ && piece->size() <= room;
  }
  co_return piece;
}

awaitable<Result<void>> AnswerBody::look_ahead() {
  looks_ = true;
  std::string ahead;
  while (is_seen_whole_) {
    const Result<std::string_view> piece = co_await read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    ahead.append(*piece);
  }
  ahead_ = std::move(ahead);
  co_return Result<void>();
}

AnswerBody::Seen AnswerBody::seen() const {
  Seen seen;
  seen.as_it_came = seen_;
  seen.is_whole = is_seen_whole_;
  const auto coding = routes::parse_content_encoding(content_encoding_);
  if (!looks_ || !coding || *coding == routes::ContentCoding::identity) return seen;
  routes::Decoded decoded = routes::decode(*coding, seen_, routes::SuccessCheck::look_bytes);
  decoded.bytes.resize(std::min(decoded.bytes.size(), routes::SuccessCheck::look_bytes));
  seen.decoded = std::move(decoded.bytes);
  seen.is_whole = is_seen_whole_ && decoded.is_whole;
  return seen;
}

std::string AnswerBody::judge() const {
  const Seen seen = this->seen();
  routes::JudgedAnswer answer;
  answer.status = status_;
  answer.content_type = content_type_;
  answer.body = seen.text();
  answer.is_whole = seen.is_whole;
  answer.has_body = !is_of_head_;
  return routed_->rules().success.judge(answer);
}

awaitable<Result<void>> AnswerBody::begin() {
  if (plan_.way == BodyPlan::Way::untouched) {
    if (!plan_.why.empty()) routed_->warn_of_answer(plan_.why);
    co_return Result<void>();
  }
  if (plan_.way == BodyPlan::Way::refused) {
    co_return Error(Fault::rewrite_failed, plan_.why);
  }
  std::string why;
  rewriter_ = routed_->rewriter(plan_, why);
  if (!rewriter_) co_return Error(Fault::rewrite_failed, std::move(why));
  if (plan_.way == BodyPlan::Way::whole) co_return co_await collect();
  is_streamed_ = true;
  size_.reset();
  change_ = change_of(plan_);
  co_return Result<void>();
}

// Waits for room, as long as the attempt may take: the call has been made, and its answer must not
// be lost. All of it is taken at once, so that bodies never wait for each other.
awaitable<Result<void>> AnswerBody::reserve(std::uint64_t bytes) {
  const TimePoint began = context_.timers.now();
  while (!share_.take(bytes)) {
    if (connection_.connection().aborted()) {
      co_return Error(Fault::upstream_lost, "given up while it waited for memory");
    }
    if (context_.timers.now() >= connection_.attempt) {
      co_return Error(Fault::upstream_timeout, "waiting for memory for the answer");
    }
    Signal pause(context_.io, context_.timers);
    co_await pause.wait(context_.timers.now() + room_pause);
  }
  // This time is not the backend's.
  if (connection_.attempt != never) connection_.attempt += context_.timers.now() - began;
  co_return Result<void>();
}

awaitable<Result<void>> AnswerBody::collect() {
  const std::uint64_t max = routed_->rules().response_body.max_size();
  const Result<void> reserved = co_await reserve(std::min(size_.value_or(max), max));
  if (!reserved) co_return reserved;
  std::string whole;
  while (true) {
    const Result<std::string_view> piece = co_await read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    whole.append(*piece);
    if (whole.size() > max) {
      out_ = std::move(whole);
      co_return pass(rewriter_->too_long());
    }
  }
  is_over_ = true;
  routes::BodyRewriter::Rewritten made = rewriter_->rewrite(whole);
  if (made.body) {
    out_ = std::move(*made.body);
    change_ = change_of(plan_);
    size_ = out_.size();
    co_return Result<void>();
  }
  out_ = std::move(whole);
  size_ = out_.size();
  co_return pass(made);
}

// The body goes on as it is, if the route does not refuse it.
Result<void> AnswerBody::pass(const routes::BodyRewriter::Rewritten& unchanged) {
  if (unchanged.is_refused) return Error(Fault::rewrite_failed, unchanged.why);
  routed_->warn_of_answer(unchanged.why);
  return {};
}

awaitable<Result<std::string_view>> AnswerBody::next() {
  if (is_streamed_) co_return co_await next_rewritten();
  if (!out_.empty()) {
    given_ = std::exchange(out_, {});
    co_return std::string_view(given_);
  }
  if (is_over_) co_return std::string_view();
  co_return co_await read();
}

awaitable<Result<std::string_view>> AnswerBody::next_rewritten() {
  given_.clear();
  while (given_.empty() && !is_over_) {
    const Result<std::string_view> piece = co_await read();
    if (!piece) co_return piece.error();
    is_over_ = piece->empty();
    std::string bad = is_over_ ? rewriter_->finish(given_) : rewriter_->write(*piece, given_);
    if (!bad.empty()) co_return Error(Fault::rewrite_failed, std::move(bad));
    // A stream that comes slowly is not held back until its coder has enough.
    if (!is_over_ && given_.empty() && !connection_.has_body_at_hand()) rewriter_->flush(given_);
  }
  co_return std::string_view(given_);
}

}  // namespace raincheck::proxy
