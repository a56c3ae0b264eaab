#include "proxy/answer_body.hpp"

#include <spdlog/spdlog.h>

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;
using routes::BodyPlan;

AnswerBody::AnswerBody(UpstreamConnection& connection, RouteCall* routed, bool head_request)
    : connection_(connection), routed_(routed) {
  const ResponseHead& head = connection.head();
  if (head.framing == Framing::length) size_ = head.content_length;
  if (!routed || head_request || head.framing == Framing::none) return;
  routes::BodyFacts facts;
  facts.content_type = head.fields.find("Content-Type").value_or("");
  facts.content_encoding = head.fields.find("Content-Encoding").value_or("");
  facts.is_partial = head.status == 206 || head.fields.find("Content-Range").has_value();
  plan_ = BodyPlan::make(routed->rules().response_body, facts);
}

awaitable<Result<void>> AnswerBody::begin() {
  if (plan_.way == BodyPlan::Way::untouched) {
    if (!plan_.why.empty()) routed_->log_body("an answer", plan_.why);
    co_return Result<void>();
  }
  if (plan_.way == BodyPlan::Way::refused) {
    co_return Error(Fault::upstream_protocol_error, plan_.why);
  }
  rewriter_ = routed_->rewriter(routed_->rules().response_body, plan_);
  if (plan_.way == BodyPlan::Way::whole) co_return co_await collect();
  is_streamed_ = true;
  size_.reset();
  change_ = plan_.coding == routes::ContentCoding::identity ? BodyChange::changed
                                                            : BodyChange::encoded_again;
  co_return Result<void>();
}

awaitable<Result<void>> AnswerBody::collect() {
  const std::uint64_t max = routed_->rules().response_body.max_size();
  std::string whole;
  while (true) {
    const Result<std::string_view> piece = co_await connection_.read_body();
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
    change_ = plan_.coding == routes::ContentCoding::identity ? BodyChange::changed
                                                              : BodyChange::encoded_again;
    size_ = out_.size();
    co_return Result<void>();
  }
  out_ = std::move(whole);
  size_ = out_.size();
  co_return pass(made);
}

// The body goes on as it is, if the route does not refuse it.
Result<void> AnswerBody::pass(const routes::BodyRewriter::Rewritten& unchanged) {
  if (unchanged.is_refused) return Error(Fault::upstream_protocol_error, unchanged.why);
  routed_->log_body("an answer", unchanged.why);
  return {};
}

awaitable<Result<std::string_view>> AnswerBody::next() {
  if (is_streamed_) co_return co_await next_rewritten();
  if (!out_.empty()) {
    given_ = std::exchange(out_, {});
    co_return std::string_view(given_);
  }
  if (is_over_) co_return std::string_view();
  co_return co_await connection_.read_body();
}

awaitable<Result<std::string_view>> AnswerBody::next_rewritten() {
  given_.clear();
  while (given_.empty() && !is_over_) {
    const Result<std::string_view> piece = co_await connection_.read_body();
    if (!piece) co_return piece.error();
    is_over_ = piece->empty();
    std::string bad = is_over_ ? rewriter_->finish(given_) : rewriter_->write(*piece, given_);
    if (!bad.empty()) co_return Error(Fault::upstream_protocol_error, std::move(bad));
    // A stream that comes slowly is not held back until its coder has enough.
    if (!is_over_ && given_.empty() && !connection_.has_body_at_hand()) rewriter_->flush(given_);
  }
  co_return std::string_view(given_);
}

}  // namespace raincheck::proxy
