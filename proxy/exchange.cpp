#include "proxy/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/date.hpp"
#include "proxy/answer_body.hpp"
#include "proxy/fields.hpp"
#include "routes/url_map.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

// How long the body of an answer that is not the result may hold up what its head says.
constexpr std::chrono::milliseconds skip_for{250};

std::string_view method_of(std::string_view stored) {
  return stored.substr(0, stored.find(' '));
}

}  // namespace

void append_call(std::string& out, std::string_view stored, std::string_view authority) {
  const std::size_t line = stored.find("\r\n");
  out.reserve(stored.size() + authority.size() + 128);
  out.append(stored.substr(0, line)).append(" HTTP/1.1\r\nHost: ").append(authority);
  out.append(stored.substr(line));
}

std::string render_head(std::string_view stored,
                        std::string_view authority,
                        std::uint64_t body_size) {
  std::string out;
  append_call(out, stored, authority);
  if (body_size != 0 || says_length(method_of(stored))) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body_size);
  }
  out.append("\r\n");
  return out;
}

PoolExchange::~PoolExchange() = default;

awaitable<Result<void>> PoolExchange::begin() {
  if (begun_) co_return *begun_;
  const TimePoint began = pool_.context().timers.now();
  const auto reuse = call_.may_resend ? UpstreamPool::Reuse::any : UpstreamPool::Reuse::recent;
  Result<void> done;
  if (body_.has_rules()) done = co_await body_.begin(call_.deadline, abort_.requested);
  if (done) done = co_await connect(reuse);
  if (done) done = co_await ask();
  if (!done && worth_another_connection(done.error())) {
    done = co_await connect(UpstreamPool::Reuse::none);
    if (done) done = co_await ask();
  }
  reply_.first_byte =
      std::chrono::duration_cast<jobs::milliseconds>(pool_.context().timers.now() - began);
  begun_ = done;
  co_return done;
}

awaitable<Reply> PoolExchange::run() {
  Result<void> done = co_await begin();
  if (done) done = co_await receive();
  if (done) {
    pool_.release(std::move(connection_));
  } else {
    reply_.fault = done.error().fault;
    reply_.detail = done.error().detail;
  }
  co_return std::move(reply_);
}

awaitable<Result<void>> PoolExchange::connect(UpstreamPool::Reuse reuse) {
  if (abort_.requested) co_return Error(Fault::upstream_unreachable, "aborted before connecting");
  auto connection = co_await pool_.acquire(reuse, call_.deadline, call_.key, abort_, call_.server);
  if (!connection) co_return connection.error();
  connection_ = std::move(*connection);
  connection_->attempt = call_.deadline;
  reply_.server = connection_->server().authority;
  if (abort_.requested) co_return Error(Fault::upstream_unreachable, "aborted before sending");
  co_return Result<void>();
}

// Up to the head of the answer.
awaitable<Result<void>> PoolExchange::ask() {
  const Result<void> sent = co_await send();
  reply_.sent = reply_.sent || connection_->sent();
  // A backend may have answered and closed while the request was still on its way.
  const bool unread = !sent && sent.error().fault == Fault::upstream_lost;
  Result<void> answered = sent;
  if (sent || unread) {
    answered = co_await connection_->read_head(method_of(call_.head) == "HEAD", false);
  }
  if (unread && !answered) answered = sent;
  judge(answered);
  co_return answered;
}

void PoolExchange::judge(const Result<void>& answered) {
  const bool is_over = pool_.context().timers.now() >= call_.deadline;
  if (!call_.ends_early || !is_over) pool_.judge(*connection_, answered);
}

awaitable<Result<void>> PoolExchange::send() {
  const std::string_view host =
      call_.host.empty() ? std::string_view(connection_->server().authority) : call_.host;
  const std::string head = render_head(call_.head, host, body_.size());
  if (body_.in_memory()) co_return co_await connection_->send(head, body_.bytes());
  // Read before anything is sent: a file that cannot be opened now is no call that may have been
  // executed.
  body_.rewind();
  const Result<std::string_view> first = co_await body_.next();
  if (!first) co_return first.error();
  const Result<void> begun = co_await connection_->send(head, std::string_view());
  if (!begun) co_return begun;
  co_return co_await connection_->send(body_, *first);
}

// A kept-alive connection that the backend had already given up tells nothing about the backend.
bool PoolExchange::worth_another_connection(const Error& error) const {
  return error.fault == Fault::upstream_lost && connection_ && connection_->reused &&
         !connection_->answered() && !abort_.requested && (call_.may_resend || !reply_.sent);
}

awaitable<Result<void>> PoolExchange::receive() {
  const ResponseHead& head = connection_->head();
  reply_.status = head.status;
  append_response_fields(reply_.head, head);
  // When it came, not when it is collected (RFC 9110 section 6.6.1).
  if (!head.fields.find("Date")) {
    const std::string now = jobs::http_date(pool_.context().timers.wall_now());
    (void)append_field(reply_.head, "Date", now);
  }
  if (const auto after = head.fields.find("Retry-After")) reply_.retry_after = *after;
  const bool concerned = routes::UrlMap::concerns(head.fields);
  AnswerBody body(pool_.context(), *connection_, call_.routed, method_of(call_.head) == "HEAD");
  const Result<void> read = co_await read_step(body);
  if (!read) co_return read;
  if (reply_.step.kind != routes::FollowStep::Kind::result) {
    co_await skip_body();
    co_return Result<void>();
  }
  const Result<void> begun = co_await body.begin();
  if (!begun) co_return begun;
  if (call_.routed) {
    call_.routed->change_answer(reply_.head, concerned, routes::Found::elsewhere, body.change());
  }
  const Result<void> received = co_await receive_body(*connection_, body);
  if (received && call_.routed) reply_.rejected = body.judge();
  if (!reply_.step.rejected.empty()) reply_.rejected = reply_.step.rejected;
  co_return received;
}

bool PoolExchange::is_pending() const {
  if (!call_.follow || !begun_ || !*begun_) return false;
  routes::FollowedAnswer answer;
  answer.status = connection_->head().status;
  answer.fields = &connection_->head().fields;
  return call_.follow->read(call_.stage, answer).kind == routes::FollowStep::Kind::pending;
}

// What the answer means where the backend may go on with a call after it. Its head is in reply_.
awaitable<Result<void>> PoolExchange::read_step(AnswerBody& body) {
  if (!call_.follow) co_return Result<void>();
  // A copy of the head: reading the body ends the views of the connection's.
  routes::Fields fields;
  const std::string lines = reply_.head;
  fields.assign(lines);
  const std::string_view type = fields.find("Content-Type").value_or("");
  if (call_.follow->needs_body(call_.stage, reply_.status, type)) {
    const Result<void> looked = co_await body.look_ahead();
    if (!looked) co_return looked;
  }
  const AnswerBody::Seen seen = body.seen();
  routes::FollowedAnswer answer;
  answer.status = reply_.status;
  answer.fields = &fields;
  answer.body = seen.text();
  answer.is_whole = seen.is_whole;
  answer.knows_result = call_.knows_result;
  answer.tells_status = call_.tells_status;
  reply_.step = call_.follow->read(call_.stage, answer);
  co_return Result<void>();
}

// Of an answer that is not the result: its head has said all. A body that is long, late or damaged
// is not worth its connection, and no fault of the call.
awaitable<void> PoolExchange::skip_body() {
  const TimePoint limit = pool_.context().timers.now() + skip_for;
  connection_->attempt = std::min(connection_->attempt, limit);
  std::size_t size = 0;
  while (size <= routes::SuccessCheck::look_bytes) {
    const Result<std::string_view> piece = co_await connection_->read_body();
    if (!piece || piece->empty()) co_return;
    size += piece->size();
  }
}

void PoolExchange::abort() {
  abort_.request();
  if (connection_) connection_->connection().abort();
}

awaitable<void> PoolExchange::settle(TimePoint limit) {
  if (pool_.upstream().on_abort == config::OnAbort::drain && connection_) {
    co_await pool_.outlast(*connection_, method_of(call_.head) == "HEAD", limit);
  }
  // We have hung up before the slot is free.
  connection_.reset();
}

// Into the writer, as long as it stays within the upstream's limit. While the disk is full the
// reading pauses: a result is held, never dropped.
awaitable<Result<void>> PoolExchange::receive_body(UpstreamConnection& connection,
                                                   AnswerBody& body) {
  BodyWriter& into = *call_.into;
  ShardContext& context = pool_.context();
  const std::uint64_t limit = connection.upstream().limits.response_body;
  const Error too_large(Fault::response_too_large,
                        fmt::format("the answer's body is over {} bytes", limit));
  if (body.size().value_or(0) > limit) co_return too_large;
  while (true) {
    const Result<std::string_view> piece = co_await body.next();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return Result<void>();
    if (into.size() + piece->size() > limit) co_return too_large;
    if (into.try_append(*piece)) continue;
    Result<void> kept = co_await into.append(*piece);
    const TimePoint paused_at = context.timers.now();
    while (!kept && jobs::is_passing(kept.error().fault) && !connection.connection().aborted()) {
      Signal pause(context.io, context.timers);
      co_await pause.wait(context.timers.now() + full_disk_pause);
      kept = co_await into.append(*piece);
    }
    // The time that the disk took is not the backend's.
    if (connection.attempt != never) connection.attempt += context.timers.now() - paused_at;
    if (!kept) co_return kept.error();
  }
}

}  // namespace raincheck::proxy
