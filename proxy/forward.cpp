// Plain calls: streamed both ways at once, with back-pressure, the connection of the backend
// released as soon as its answer is through.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/client_watch.hpp"
#include "proxy/exchange.hpp"
#include "proxy/handlers.hpp"
#include "proxy/pinned.hpp"
#include "proxy/plain_body.hpp"
#include "proxy/relay.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

// RFC 9110 section 9.2.2.
bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
         method == "DELETE";
}

// A call that nobody waits for any more keeps its slot until the backend has ended.
awaitable<void> outlast(std::unique_ptr<UpstreamConnection> connection,
                        ShardUpstream& upstream,
                        bool head_request) {
  UpstreamPool& pool = *upstream.pool;
  const TimePoint limit = pool.context().timers.now() + upstream.config->hold();
  co_await pool.outlast(*connection, head_request, limit);
  connection.reset();
  upstream.slots->give();
}

class Forward {
 public:
  Forward(Transaction& transaction, const SiteRoute& route)
      : transaction_(transaction),
        services_(transaction.services()),
        upstream_(services_.upstreams[route.upstream]),
        route_(route),
        body_(transaction),
        upload_ended_(services_.context.io, services_.context.timers) {}

  awaitable<void> run();

 private:
  awaitable<bool> take_slot(TimePoint deadline);
  awaitable<void> call(TimePoint deadline);
  awaitable<Result<void>> exchange(UpstreamPool::Reuse reuse);
  awaitable<Result<void>> connect(UpstreamPool::Reuse reuse);
  void let_go();
  awaitable<Result<void>> ask();
  awaitable<void> upload();
  awaitable<Result<void>> upload_pieces();
  awaitable<void> tunnel();
  awaitable<void> pump(Connection& from, InputBuffer& input, Connection& to);
  awaitable<void> backward();
  void describe();
  std::string render(std::string_view authority) const;
  bool resendable() const;

  Transaction& transaction_;
  Services& services_;
  ShardUpstream& upstream_;
  const SiteRoute& route_;
  std::string stored_;  // the request, in the form in which it would be stored
  std::optional<RouteCall> routed_;
  std::optional<std::uint64_t> key_;  // RouteCall::balance_key()
  PlainBody body_;
  TimePoint deadline_ = never;
  TimePoint tunnel_awake_{};  // when something last moved, either way
  std::unique_ptr<UpstreamConnection> connection_;
  bool is_pinned_ = false;  // to the client's connection
  bool uploading_ = false;
  bool client_gone_ = false;
  Signal upload_ended_;
};

void Forward::describe() {
  stored_.reserve(1024);
  transaction_.append_stored(stored_);
  routed_.emplace(services_.context.warnings, services_.site, route_, stored_,
                  transaction_.request_id(), "");
  key_ = routed_->balance_key();
}

std::string Forward::render(std::string_view authority) const {
  if (!routed_->host().empty()) authority = routed_->host();
  std::string out;
  append_call(out, routed_->head(), authority);
  body_.append_framing(out);
  append_upgrade(out, transaction_.head().upgrade);
  out.append("\r\n");
  return out;
}

bool Forward::resendable() const {
  return body_.whole() && is_idempotent(transaction_.head().method);
}

awaitable<void> Forward::run() {
  if (services_.draining) transaction_.close_after();
  if (!route_.config->authorize.is_empty()) {
    const bool allowed = co_await authorize(transaction_, route_);
    if (!allowed) co_return;
  }
  describe();
  const bool begun = co_await body_.begin(*routed_);
  if (!begun) co_return;
  if (!may_call(transaction_, *routed_)) co_return;
  const TimePoint deadline = services_.timers().now() + upstream_.config->timeouts.attempt;
  const bool taken = co_await take_slot(deadline);
  if (!taken) co_return;
  co_await call(deadline);
  const bool drains = upstream_.config->on_abort == config::OnAbort::drain;
  if (drains && connection_ && connection_->request_whole() && !connection_->body_done()) {
    services_.tasks.spawn(
        outlast(std::move(connection_), upstream_, transaction_.head().method == "HEAD"));
    co_return;
  }
  // We have hung up before the slot is free.
  connection_.reset();
  upstream_.slots->give();
}

awaitable<bool> Forward::take_slot(TimePoint deadline) {
  if (upstream_.queue->empty() && upstream_.slots->try_take()) co_return true;
  bool gone = false;
  Signal* waiting = nullptr;
  ClientWatch watch(transaction_.connection(), services_.timers(), [&gone, &waiting] {
    gone = true;
    if (waiting) waiting->notify();
  });
  const bool taken = co_await upstream_.queue->take(deadline, gone, waiting);
  if (taken && !gone) co_return true;
  if (taken) upstream_.slots->give();
  if (gone) {
    transaction_.set_reason("client_closed");
    transaction_.cut_short();
  } else {
    transaction_.respond(Problem(503, "overloaded", "The backend has no room for another call.",
                                 "queue_full", "Retry-After: 1\r\n"));
  }
  co_return false;
}

awaitable<void> Forward::call(TimePoint deadline) {
  const TimePoint began = services_.timers().now();
  const auto reuse = resendable() ? UpstreamPool::Reuse::any : UpstreamPool::Reuse::recent;
  deadline_ = deadline;
  Result<void> done = co_await exchange(reuse);
  const bool stale = !done && done.error().fault == Fault::upstream_lost && connection_ &&
                     connection_->reused && !connection_->answered() && body_.whole() &&
                     (resendable() || !connection_->sent());
  if (stale && !client_gone_) done = co_await exchange(UpstreamPool::Reuse::none);
  CallEnd end;
  end.connection = connection_.get();
  end.done = done;
  end.client_gone = client_gone_;
  if (body_.is_undecodable()) end.reason = "unchangeable_body";
  log_call(transaction_, *upstream_.config, route_, began, end);
  if (client_gone_) {
    transaction_.set_reason("client_closed");
    transaction_.cut_short();
  } else if (!done && !transaction_.response_begun()) {
    transaction_.respond(problem_of(done.error()));
  }
  if (done && connection_) let_go();
}

void Forward::let_go() {
  if (is_pinned_) {
    upstream_.pool->release(std::move(connection_), transaction_.pinned());
  } else {
    upstream_.pool->release(std::move(connection_));
  }
}

// The one that belongs to the client, or any of the pool's.
awaitable<Result<void>> Forward::connect(UpstreamPool::Reuse reuse) {
  AbortRequest abort;
  connection_ = transaction_.pinned().take(upstream_.pool->pinned(), services_.timers().now());
  is_pinned_ = connection_ != nullptr || has_connection_auth(routed_->head());
  if (connection_) {
    const bool has_slot = co_await upstream_.pool->claim(*connection_, deadline_, abort);
    if (!has_slot) {
      co_return Error(Fault::upstream_timeout, "waiting for a server that is not at its limit");
    }
  } else {
    auto acquired = co_await upstream_.pool->acquire(reuse, deadline_, key_, abort);
    if (!acquired) co_return acquired.error();
    connection_ = std::move(*acquired);
  }
  connection_->attempt = deadline_;
  co_return Result<void>();
}

awaitable<Result<void>> Forward::exchange(UpstreamPool::Reuse reuse) {
  const Result<void> connected = co_await connect(reuse);
  if (!connected) co_return connected;
  const Result<void> answered = co_await ask();
  upstream_.pool->judge(*connection_, answered);
  if (answered && names_connection_auth(connection_->head().fields, "WWW-Authenticate")) {
    is_pinned_ = true;
  }
  if (answered && !transaction_.response_begun()) {
    if (connection_->head().status == 101) {
      co_await tunnel();
    } else {
      co_await relay(transaction_, *connection_, *routed_);
    }
  }
  if (uploading_) {
    // The answer is out, or there is none: what the client still sends is of no use to anybody.
    transaction_.close_after();
    const bool gone = client_gone_;
    connection_->connection().abort();
    transaction_.connection().abort();
    co_await upload_ended_.wait(never);
    transaction_.connection().resume();
    client_gone_ = gone;
    if (!answered) co_return answered;
    co_return Error(Fault::upstream_lost, "answered before the request was read");
  }
  co_return answered;
}

// Sends the request and waits for the head of the answer. A body that is not at hand goes on its
// way beside it.
awaitable<Result<void>> Forward::ask() {
  const std::string head = render(connection_->server().authority);
  std::string begin;
  std::string_view body = body_.whole().value_or(body_.first());
  if (!body_.whole() && body_.is_chunked() && !body.empty()) {
    begin = fmt::format("{:x}\r\n{}\r\n", body.size(), body);
    body = begin;
  }
  const Result<void> sent = co_await connection_->send(head, body);
  if (!sent) co_return sent;
  const bool upgrade = !transaction_.head().upgrade.empty();
  if (body_.whole()) {
    ClientWatch watch(transaction_.connection(), services_.timers(), [this] {
      client_gone_ = true;
      connection_->connection().abort();
    });
    co_return co_await connection_->read_head(transaction_.head().method == "HEAD", upgrade);
  }
  connection_->set_request_whole(false);
  uploading_ = true;
  services_.tasks.spawn(upload());
  co_return co_await connection_->read_head(transaction_.head().method == "HEAD", upgrade);
}

awaitable<void> Forward::upload() {
  const Result<void> sent = co_await upload_pieces();
  if (sent) {
    connection_->set_request_whole(true);
  } else if (sent.error().fault == Fault::client_gone) {
    client_gone_ = !transaction_.response_begun();
    connection_->connection().abort();
  }
  uploading_ = false;
  upload_ended_.notify();
}

awaitable<Result<void>> Forward::upload_pieces() {
  const bool chunked = body_.is_chunked();
  const auto progress = upstream_.config->timeouts.write;
  Connection& backend = connection_->connection();
  while (true) {
    const Result<std::string_view> piece = co_await body_.next();
    if (!piece) co_return piece.error();
    std::string begin;
    if (chunked) begin = fmt::format("{:x}\r\n", piece->size());
    const std::string_view end = chunked ? "\r\n" : "";
    const Io io = co_await backend.write(Parts(begin, *piece, end), progress);
    if (io != Io::ok) co_return Error(Fault::upstream_lost, "sending the body");
    connection_->expect_answer();
    if (piece->empty()) co_return Result<void>();
  }
}

// Both directions until both have ended; a side that ends is told to the other. What moves either
// way keeps both awake.
awaitable<void> Forward::tunnel() {
  std::string fields;
  append_response_fields(fields, connection_->head());
  const bool concerned = routes::UrlMap::concerns(connection_->head().fields);
  routed_->change_answer(fields, concerned, routes::Found::in_place);
  append_upgrade(fields, connection_->head().upgrade);
  const Io io = co_await transaction_.begin_tunnel(fields);
  if (io != Io::ok) co_return;
  connection_->take_head();
  transaction_.take_head();
  uploading_ = true;
  services_.tasks.spawn(backward());
  co_await pump(transaction_.connection(), transaction_.input(), connection_->connection());
  co_await upload_ended_.wait(never);
  transaction_.cut_short();
  connection_->connection().abort();
}

awaitable<void> Forward::backward() {
  co_await pump(connection_->connection(), connection_->input(), transaction_.connection());
  uploading_ = false;
  upload_ended_.notify();
}

awaitable<void> Forward::pump(Connection& from, InputBuffer& input, Connection& to) {
  const auto patience = upstream_.config->timeouts.attempt;
  while (true) {
    if (!input.empty()) {
      const Io io = co_await to.write(Parts(input.view()), patience);
      transaction_.add_bytes_out(input.view().size());
      if (io != Io::ok) {
        from.abort();
        co_return;
      }
      input.clear();
    }
    input.release();
    const Io ready = co_await from.wait_readable(services_.timers().now() + patience);
    if (ready == Io::timeout && services_.timers().now() < tunnel_awake_ + patience) {
      from.resume();
      continue;
    }
    Transfer transfer{ready, 0};
    if (ready == Io::ok) transfer = from.try_read(input.prepare());
    if (transfer.io == Io::end) {
      co_await to.shutdown_send(services_.timers().now() + patience);
      co_return;
    }
    if (transfer.io != Io::ok) {
      to.abort();
      co_return;
    }
    input.commit(transfer.size);
    tunnel_awake_ = services_.timers().now();
  }
}

}  // namespace

awaitable<void> forward(Transaction& transaction, const SiteRoute& route) {
  Forward call(transaction, route);
  co_await call.run();
}

bool may_call(Transaction& transaction, RouteCall& routed) {
  switch (routed.make()) {
    case routes::RouteRules::Made::done:
      return true;
    case routes::RouteRules::Made::bad_request:
      transaction.respond(Problem(400, "bad_request", routed.why()));
      return false;
    case routes::RouteRules::Made::unreadable:
      spdlog::error("a call cannot be made: {}", routed.why());
      transaction.respond(problem_of(Error(Fault::internal, routed.why())));
      return false;
  }
  return false;
}

bool may_be_job(Transaction& transaction, const RouteCall& routed) {
  if (!has_connection_auth(routed.head())) return true;
  transaction.respond(
      Problem(400, "connection_auth",
              "NTLM and Negotiate authenticate a connection, and a job outlives it: "
              "such a call cannot become one."));
  return false;
}

Problem problem_of(const Error& error) {
  const int status = jobs::fault_status(error.fault);
  switch (error.fault) {
    case Fault::internal:
      return Problem(status, "internal", "Something went wrong here.");
    case Fault::overloaded:
      return Problem(status, "overloaded", "Too much is waiting to be stored.", "queue_full",
                     "Retry-After: 1\r\n");
    case Fault::store_full:
      return Problem(status, "store_full", "There is no room to store the request.", "disk_full",
                     "Retry-After: 10\r\n");
    case Fault::store_failed:
      return Problem(status, "store_failed", "The request could not be stored.", "store_failed",
                     "Retry-After: 5\r\n");
    case Fault::stopping:
      return Problem(status, "draining", "This server is stopping.", "draining",
                     "Retry-After: 1\r\n");
    case Fault::upstream_unreachable:
      return Problem(status, "upstream_unreachable", "The backend takes no connections.");
    case Fault::upstream_lost:
      return Problem(status, "upstream_lost",
                     "The backend ended the connection without an answer.");
    case Fault::upstream_timeout:
      return Problem(status, "upstream_timeout", "The backend took too long.");
    case Fault::upstream_protocol_error:
      return Problem(status, "upstream_protocol_error", "The backend's answer is not valid HTTP.");
    case Fault::response_too_large:
      return Problem(status, "response_too_large", "The backend's answer is too large.");
    case Fault::rewrite_failed:
      return Problem(status, "rewrite_failed",
                     "The backend's answer cannot be changed as its route demands.");
    case Fault::client_gone:
      return Problem(400, "client_gone", "The request ended early.", "client_closed");
  }
  return Problem();
}

}  // namespace raincheck::proxy
