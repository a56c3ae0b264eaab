#include "proxy/answer_body.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;
using routes::BodyPlan;

AnswerBody::AnswerBody(UpstreamConnection& connection, RouteCall* routed, bool head_request)
    : connection_(connection), routed_(routed), status_(connection.head().status) {
  const ResponseHead& head = connection.head();
  if (head.framing == Framing::length) size_ = head.content_length;
  if (!routed) return;
  content_type_ = head.fields.find("Content-Type").value_or("");
  content_encoding_ = head.fields.find("Content-Encoding").value_or("");
  looks_ = routed->rules().success.needs_body();
  if (head_request || head.framing == Framing::none) return;
  routes::BodyFacts facts;
  facts.content_type = content_type_;
  facts.content_encoding = content_encoding_;
  facts.is_partial = head.status == 206 || head.fields.find("Content-Range").has_value();
  plan_ = BodyPlan::make(routed->rules().response_body, facts);
}

// As it comes, remembering its beginning where that decides.
awaitable<Result<std::string_view>> AnswerBody::read() {
  const Result<std::string_view> piece = co_await connection_.read_body();
  if (looks_ && piece) {
    const std::size_t room = routes::SuccessCheck::look_bytes - seen_.size();
    seen_.append(piece->substr(0, room));
    is_seen_whole_ = is_seen_whole_ && piece->size() <= room;
  }
  co_return piece;
}

std::string AnswerBody::judge() const {
  routes::JudgedAnswer answer;
  answer.status = status_;
  answer.content_type = content_type_;
  answer.body = seen_;
  answer.is_whole = is_seen_whole_;
  routes::Decoded decoded;
  const auto coding = routes::parse_content_encoding(content_encoding_);
  if (looks_ && coding && *coding != routes::ContentCoding::identity) {
    decoded = routes::decode(*coding, seen_, routes::SuccessCheck::look_bytes);
    answer.body = std::string_view(decoded.bytes).substr(0, routes::SuccessCheck::look_bytes);
    answer.is_whole = is_seen_whole_ && decoded.is_whole;
  }
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

awaitable<Result<void>> AnswerBody::collect() {
  const std::uint64_t max = routed_->rules().response_body.max_size();
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
