#include "proxy/upstream_connection.hpp"

#include <fmt/format.h>

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

// A backend that sends nothing but interim answers is not answering.
constexpr int interim_answers_max = 100;
constexpr std::size_t answer_read_max = 64 * 1024;

}  // namespace

UpstreamConnection::UpstreamConnection(Descriptor socket,
                                       Timers& timers,
                                       Readiness& readiness,
                                       Buffers& buffers,
                                       const config::Upstream& upstream,
                                       const config::Server& server)
    : connection_(std::move(socket), timers, readiness),
      timers_(timers),
      input_(buffers),
      upstream_(upstream),
      server_(server) {}

UpstreamConnection::~UpstreamConnection() {
  if (request_whole_ && body_done_) connection_.close_notify();
}

void UpstreamConnection::begin() {
  written_before_ = connection_.written();
  request_whole_ = false;
  answered_ = false;
  head_read_ = false;
  body_done_ = false;
  patient = false;
  to_consume_ = 0;
}

void UpstreamConnection::expect_answer() {
  const auto first_byte = upstream_.timeouts.first_byte.value_or(upstream_.timeouts.attempt);
  answer_by_ = timers_.now() + first_byte;
}

// Until when the next bytes must come.
TimePoint UpstreamConnection::read_by() const {
  if (patient) return attempt;
  const TimePoint next = answered_ ? timers_.now() + upstream_.timeouts.between_bytes : answer_by_;
  return std::min(attempt, next);
}

void UpstreamConnection::take_head() {
  input_.consume(to_consume_);
  to_consume_ = 0;
}

Error UpstreamConnection::fault(Io io, std::string_view doing) const {
  if (io == Io::timeout) {
    return Error(Fault::upstream_timeout, fmt::format("timeout while {}", doing));
  }
  const Tls* const tls = connection_.tls();
  const std::string why = tls && !tls->why().empty() ? ": " + tls->why() : "";
  if (tls && tls->is_refused() && !answered_) {
    return Error(Fault::upstream_unreachable, fmt::format("our certificate is refused{}", why));
  }
  if (answered_) {
    return Error(Fault::upstream_protocol_error,
                 fmt::format("the connection ended while {}{}", doing, why));
  }
  return Error(Fault::upstream_lost, fmt::format("the connection was lost while {}{}", doing, why));
}

awaitable<Result<void>> UpstreamConnection::send(std::string_view head, std::string_view body) {
  const Io io = co_await connection_.write(Parts(head, body), upstream_.timeouts.write, attempt);
  if (io != Io::ok) co_return fault(io, "sending the request");
  request_whole_ = true;
  co_return Result<void>();
}

awaitable<Result<void>> UpstreamConnection::send(BodySource& body, std::string_view piece) {
  request_whole_ = false;
  while (!piece.empty()) {
    const Io io =
        co_await connection_.write_unless_readable(piece, upstream_.timeouts.write, attempt);
    if (io == Io::timeout) co_return fault(io, "sending the request body");
    // An answer that came early is read; if there is none after all, reading tells what happened.
    if (io == Io::reset) co_return Result<void>();
    if (io == Io::end) {
      const Result<bool> interim = co_await read_interim();
      if (!interim || !*interim) co_return Result<void>();
      continue;
    }
    if (!piece.empty()) continue;
    const Result<std::string_view> next = co_await body.next();
    if (!next) co_return next.error();
    piece = *next;
  }
  request_whole_ = true;
  co_return Result<void>();
}

// What the backend sends before it has read everything: true if it is no more than an interim
// answer, which is taken off.
awaitable<Result<bool>> UpstreamConnection::read_interim() {
  const std::size_t limit = upstream_.limits.response_headers;
  answered_ = true;
  const Result<std::size_t> filled = co_await fill(limit);
  if (!filled) co_return filled.error();
  if (*filled == 0) co_return false;
  parser_.reset();
  while (!input_.empty() && parser_.parse(input_.view(), limit, false, false) == Parse::done &&
         parser_.head().status < 200) {
    input_.consume(parser_.head_size());
    parser_.reset();
  }
  answered_ = !input_.empty();
  co_return !answered_;
}

awaitable<Result<std::size_t>> UpstreamConnection::fill(std::size_t size_max) {
  const Io ready = co_await connection_.wait_readable(read_by());
  if (ready != Io::ok) co_return fault(ready, "waiting for the answer");
  const std::span<char> room = input_.prepare(size_max);
  if (room.empty()) {
    co_return Error(Fault::upstream_protocol_error, "the answer's header is over the limit");
  }
  const Transfer transfer = connection_.try_read(room);
  if (transfer.io == Io::end) co_return std::size_t{0};
  if (transfer.io != Io::ok) co_return fault(transfer.io, "reading the answer");
  input_.commit(transfer.size);
  answered_ = answered_ || transfer.size != 0;
  // A wake-up without a byte is no end.
  co_return std::max<std::size_t>(transfer.size, 1);
}

awaitable<Result<void>> UpstreamConnection::read_head(bool head_request, bool upgrade_requested) {
  expect_answer();
  parser_.reset();
  const std::size_t limit = upstream_.limits.response_headers;
  for (int interim = 0; interim <= interim_answers_max;) {
    const Parse parse = input_.empty()
                            ? Parse::more
                            : parser_.parse(input_.view(), limit, head_request, upgrade_requested);
    if (parse == Parse::rejected) {
      co_return Error(Fault::upstream_protocol_error, std::string(parser_.error()));
    }
    if (parse == Parse::more) {
      const Result<std::size_t> filled = co_await fill(limit);
      if (!filled) co_return filled.error();
      if (*filled == 0) co_return fault(Io::end, "waiting for the answer");
      continue;
    }
    const ResponseHead& head = parser_.head();
    if (head.status >= 200 || head.status == 101) {
      to_consume_ = parser_.head_size();
      head_read_ = true;
      decoder_.start(head.framing, head.content_length, BodyDecoder::Extensions::skipped);
      body_done_ = decoder_.done();
      co_return Result<void>();
    }
    input_.consume(parser_.head_size());
    parser_.reset();
    ++interim;
    // An interim answer says that the backend is at work, not that it has begun to answer.
    answered_ = !input_.empty();
    expect_answer();
  }
  co_return Error(Fault::upstream_protocol_error, "interim answers without an end");
}

awaitable<Result<std::string_view>> UpstreamConnection::read_body() {
  input_.consume(to_consume_);
  to_consume_ = 0;
  while (!body_done_) {
    if (!input_.empty()) {
      const BodyDecoder::Step step = decoder_.next(input_.view());
      if (step.bad) co_return Error(Fault::upstream_protocol_error, "malformed chunked body");
      body_done_ = step.done;
      if (!step.payload.empty()) {
        to_consume_ = step.consumed;
        co_return step.payload;
      }
      input_.consume(step.consumed);
      if (step.done) break;
      if (step.consumed != 0) continue;
    }
    const Result<std::size_t> filled = co_await fill(answer_read_max);
    if (!filled) co_return filled.error();
    if (*filled == 0) {
      if (!decoder_.end_of_input()) {
        co_return Error(Fault::upstream_protocol_error, "the answer was cut short");
      }
      body_done_ = true;
    }
  }
  co_return std::string_view();
}

awaitable<void> UpstreamConnection::outlast(bool head_request, TimePoint limit) {
  if (!request_whole_ || body_done_) co_return;
  connection_.resume();
  attempt = limit;
  patient = true;
  if (!head_read_) {
    const Result<void> head = co_await read_head(head_request, false);
    if (!head) co_return;
  }
  while (true) {
    const Result<std::string_view> piece = co_await read_body();
    if (!piece || piece->empty()) co_return;
  }
}

bool UpstreamConnection::reusable() const {
  const ResponseHead& answer = parser_.head();
  return request_whole_ && body_done_ && answer.keep_alive && answer.status != 101 &&
         answer.framing != Framing::until_close && input_.view().size() == to_consume_ &&
         !connection_.aborted();
}

}  // namespace raincheck::proxy
