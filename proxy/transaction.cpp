#include "proxy/transaction.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/document.hpp"
#include "proxy/handlers.hpp"
#include "proxy/trace_context.hpp"
#include "routes/auth_fields.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

constexpr std::size_t body_read_max = 64 * 1024;
// A client may still be sending when it has its answer already: it is read for so long, and until
// it has been quiet for so long, so that the answer arrives (nginx's lingering_time and _timeout).
constexpr std::chrono::seconds linger_time{30};
constexpr std::chrono::seconds linger_quiet{2};
constexpr std::size_t request_id_max = 128;

bool is_request_id(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._~+/=-").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= request_id_max &&
         std::all_of(text.begin(), text.end(), allowed);
}

// The part of `path` below `base`: "" for the base itself; nothing when it is not below it.
std::optional<std::string_view> below(std::string_view base, std::string_view path) {
  if (!path.starts_with(base)) return std::nullopt;
  path.remove_prefix(base.size());
  if (!path.empty() && path.front() != '/') return std::nullopt;
  return path.empty() ? path : path.substr(1);
}

}  // namespace

void Transaction::reset(ClientConnection& client) {
  client_ = &client;
  parser_.reset();
  arrived_ = services_.timers().now();
  arrived_wall_ = services_.timers().wall_now();
  target_ = routes::Target{};
  request_id_.clear();
  traceparent_.clear();
  address_ = client.peer;
  body_max_ = client.listener->limits.body;
  body_read_ = 0;
  body_pace_ = answer_pace_ =
      Pace(client.listener->limits.body_rate, client.listener->timeouts.body_grace);
  to_consume_ = 0;
  body_done_ = true;
  continue_sent_ = false;
  keep_alive_ = false;
  unsent_.clear();
  streams_ = false;
  chunked_response_ = false;
  status_ = 0;
  bytes_out_ = 0;
  reason_ = "ok";
  route_ = nullptr;
  cors_ = nullptr;
  copied_names_ = nullptr;
  copied_.clear();
  documents_of_ = nullptr;
  job_id_.clear();
  more_fields.clear();
  kept_head_.clear();
}

awaitable<bool> Transaction::serve(ClientConnection& client) {
  reset(client);
  bool whole = parse_head() == Parse::done;
  if (!whole && status_ == 0) whole = co_await read_head();
  if (whole) {
    begin_body();
    co_await dispatch();
  }
  if (status_ == 0 && !whole) co_return false;
  const Io io = co_await flush();
  if (io != Io::ok) {
    if (streams_) set_reason("client_closed");
    connection().abort();
  }
  const bool go_on = end();
  if (!go_on && status_ != 101 && !connection().aborted()) co_await linger();
  co_return go_on;
}

// Of what was received. One that is refused is answered.
Parse Transaction::parse_head() {
  const InputBuffer& input = client_->input;
  const Parse parse = input.empty() ? Parse::more : parser_.parse(input.view(), parser_limits());
  if (parse == Parse::rejected) {
    const Rejection& rejection = parser_.rejection();
    respond(Problem(rejection.status, rejection.reason, rejection.detail));
  }
  return parse;
}

// False: the connection is at its end, or the request was refused and answered.
awaitable<bool> Transaction::read_head() {
  const RequestLimits limits = parser_limits();
  const std::size_t size_max =
      std::max(limits.request_line + limits.headers + 4, Buffers::block_bytes);
  InputBuffer& input = client_->input;
  const TimePoint deadline = arrived_ + listener().timeouts.header;
  while (true) {
    const Io ready = co_await connection().wait_readable(deadline);
    if (ready == Io::timeout && !input.empty()) {
      connection().resume();
      respond(Problem(408, "header_timeout", "The header of the request took too long."));
    }
    if (ready != Io::ok) co_return false;
    const std::span<char> room = input.prepare(size_max);
    const Transfer transfer = room.empty() ? Transfer{Io::reset, 0} : connection().try_read(room);
    if (transfer.io != Io::ok) co_return false;
    if (transfer.size == 0) continue;
    input.commit(transfer.size);
    const Parse parse = parse_head();
    if (parse != Parse::more) co_return parse == Parse::done;
  }
}

void Transaction::begin_body() {
  keep_alive_ = head().keep_alive;
  decoder_.start(head().framing, head().content_length);
  body_done_ = decoder_.done();
  to_consume_ = parser_.head_size();
}

// Who the client is and how its request and its trace are called, as far as what it says can be
// believed.
void Transaction::identify() {
  if (client_->peer_trusted) {
    address_ = proxy::client_address(head(), client_->peer, [this](std::string_view address) {
      return services_.site.trusted().contains(address);
    });
  }
  identify_request();
  const bool generates = services_.site.config().trace_context.generate;
  if (generates && trace_id_of(head().fields).empty()) {
    std::array<std::uint8_t, 24> random{};
    services_.entropy.fill(random);
    traceparent_ = make_traceparent(random);
  }
}

std::string_view Transaction::trace_id() const {
  return traceparent_.empty() ? trace_id_of(head().fields) : trace_id_in(traceparent_);
}

void Transaction::identify_request() {
  const config::RequestId& settings = services_.site.config().request_id;
  const bool accepted = settings.accept == config::AcceptId::always ||
                        (settings.accept == config::AcceptId::trusted && client_->peer_trusted);
  if (accepted) {
    const auto given = head().fields.find(settings.header);
    if (given && is_request_id(*given)) {
      request_id_ = *given;
      return;
    }
  }
  request_id_ = services_.entropy.uuid(arrived_wall_);
}

Identity Transaction::identity() const {
  Identity identity;
  identity.client_address = client_->peer;
  identity.peer_trusted = client_->peer_trusted;
  identity.scheme = connection().tls() ? "https" : "http";
  identity.host = head().authority;
  identity.pseudonym = services_.site.pseudonym();
  identity.request_id = request_id_;
  identity.request_id_header = services_.site.config().request_id.header;
  identity.forwarded = services_.site.config().forwarded;
  identity.traceparent = traceparent_;
  return identity;
}

void Transaction::append_stored(std::string& out) const {
  out.append(head().method).append(" ").append(target_.text).append("\r\n");
  if (const Tls* const tls = connection().tls()) out.append(tls->client_certificate());
  const std::size_t begin = out.size();
  append_request_fields(out, head(), identity());
  if (copied_names_) routes::replace_fields(out, begin, *copied_names_, copied_);
}

std::size_t Transaction::listener_index() const {
  const auto& listeners = services_.site.config().listeners;
  return static_cast<std::size_t>(client_->listener - listeners.data());
}

bool Transaction::is_let_in() const {
  const ServerTls* const rules = services_.site.tls().of_listener(listener_index());
  return !rules || rules->lets_in(*connection().tls());
}

// Answers, or names who will.
awaitable<void> Transaction::dispatch() {
  identify();
  if (client_->is_misled) {
    close_after();
    respond(Problem(400, "tls_required", "This port speaks HTTPS, and the request came as HTTP."));
    return {};
  }
  if (std::exchange(client_->is_older, false) && !is_let_in()) {
    close_after();
    respond(Problem(403, "certificate_refused",
                    "Its certificate lets this client in no more, or there is none."));
    return {};
  }
  if (names_us(head(), services_.site.pseudonym())) {
    respond(Problem(508, "loop_detected", "The request has been here before: a loop."));
    return {};
  }
  if (head().target == "*") {
    respond(204, "", "");
    return {};
  }
  std::string_view why;
  const auto target = routes::normalize(head().target, normalized_, why);
  if (!target) {
    close_after();
    respond(Problem(400, "bad_request", std::string(why)));
    return {};
  }
  target_ = *target;
  if (answer_preflight()) return {};
  const Site& site = services_.site;
  if (const auto rest = below(site.config().jobs.base_path, target_.path)) {
    return answer_about_job(*this, *rest);
  }
  const routes::RouteMatch match = site.table().match(asked());
  if (!match) return no_route(match);
  const SiteRoute& route = site.of(*match.route);
  set_route(route);
  set_cors(&route.rules->cors);
  set_documents(&route);
  if (route.body_max != 0) limit_body(route.body_max);
  if (!body_fits()) {
    respond(too_large());
    return {};
  }
  return submit_or_forward(*this, route);
}

// False: it is none, or none for a route that says anything of origins. Answered without the store
// or the backend: a browser asks before every call.
bool Transaction::answer_preflight() {
  const Site& site = services_.site;
  std::string_view methods = routes::Cors::asked_method(head().method, head().fields);
  if (methods.empty()) return false;
  const routes::Cors* cors = &site.cors_of_jobs();
  if (below(site.config().jobs.base_path, target_.path)) {
    methods = job_methods;
  } else {
    routes::Asked call = asked();
    call.method = methods;
    call.is_preflight = true;
    const routes::RouteMatch match = site.table().match(call);
    if (!match) return false;
    cors = &match.rules->cors;
    if (!cors->is_empty()) set_route(site.of(*match.route));
  }
  if (cors->is_empty()) return false;
  std::string fields;
  cors->append_preflight(head().fields, methods, fields);
  respond(204, fields, "");
  return true;
}

routes::Asked Transaction::asked() const {
  return {head().method, head().authority, target_.path, target_.query, &head().fields, false};
}

awaitable<void> Transaction::no_route(const routes::RouteMatch& match) {
  const Site& site = services_.site;
  if (site.default_upstream()) {
    if (body_fits()) return forward(*this, site.unmatched());
    respond(too_large());
  } else if (match.is_path_known) {
    const std::string allowed = site.table().allowed_methods(asked());
    respond(Problem(405, "method_not_allowed", "This path takes: " + allowed + ".", nullptr,
                    "Allow: " + allowed + "\r\n"));
  } else {
    respond(Problem(404, "not_found", "No route leads here.", "no_route"));
  }
  return {};
}

std::optional<std::string_view> Transaction::body_at_hand(std::uint64_t size_max) {
  if (body_done_) return std::string_view();
  size_max = std::min(size_max, body_max_);
  if (head().framing != Framing::length || head().content_length > size_max) return std::nullopt;
  const std::string_view received = client_->input.view().substr(to_consume_);
  if (received.size() < head().content_length) return std::nullopt;
  const std::string_view body = received.substr(0, head().content_length);
  to_consume_ += body.size();
  body_read_ = body.size();
  body_done_ = true;
  return body;
}

void Transaction::take_head() {
  keep_head();
  client_->input.consume(to_consume_);
  to_consume_ = 0;
}

// The buffer is about to be used for what follows the head: what head() and target() view moves to
// a copy.
void Transaction::keep_head() {
  if (!kept_head_.empty()) return;
  kept_head_ = client_->input.view().substr(0, parser_.head_size());
  parser_.reset();
  parser_.parse(kept_head_, parser_limits());
  if (target_.text.empty()) return;
  std::string_view why;
  target_ = routes::normalize(head().target, normalized_, why).value_or(routes::Target{});
}

RequestLimits Transaction::parser_limits() const {
  const config::ListenerLimits& limits = listener().limits;
  return RequestLimits{limits.request_line, limits.headers, limits.header_count};
}

// A fault of the client's, in words unless an answer is on its way already: two writers would make
// one response of two.
Result<std::string_view> Transaction::refuse_body(const Problem& problem) {
  close_after();
  if (!response_begun()) respond(problem);
  return Error(Fault::client_gone, problem.detail);
}

awaitable<Result<std::string_view>> Transaction::read_body() {
  InputBuffer& input = client_->input;
  if (!body_done_) keep_head();
  input.consume(to_consume_);
  to_consume_ = 0;
  while (!body_done_) {
    if (!input.empty()) {
      const BodyDecoder::Step step = decoder_.next(input.view());
      if (step.bad) {
        co_return refuse_body(Problem(400, "bad_request", "The chunked body is malformed."));
      }
      body_read_ += step.payload.size();
      if (body_read_ > body_max_) co_return refuse_body(too_large());
      body_done_ = step.done;
      if (!step.payload.empty()) {
        to_consume_ = step.consumed;
        co_return step.payload;
      }
      input.consume(step.consumed);
      if (step.done || step.consumed != 0) continue;
    }
    const Io io = co_await receive_body();
    if (io == Io::timeout) {
      connection().resume();
      co_return refuse_body(Problem(408, "body_timeout", "The body of the request took too long."));
    }
    if (io != Io::ok) {
      if (!response_begun()) set_reason("client_closed");
      close_after();
      co_return Error(Fault::client_gone, "the client ended within its request");
    }
  }
  co_return std::string_view();
}

// More of the body into the buffer, which is empty or ends within a chunk's framing.
awaitable<Io> Transaction::receive_body() {
  if (head().expect_continue && !continue_sent_ && !response_begun()) {
    continue_sent_ = true;
    const Io asked = co_await connection().write(Parts("HTTP/1.1 100 Continue\r\n\r\n"),
                                                 listener().timeouts.write);
    if (asked != Io::ok) co_return asked;
  }
  // Who is reading an answer already may send the rest when it likes.
  const TimePoint began = services_.timers().now();
  TimePoint deadline = never;
  if (!response_begun()) {
    deadline = std::min(began + listener().timeouts.body, body_pace_.deadline(began, body_read_));
  }
  const Io ready = co_await connection().wait_readable(deadline);
  body_pace_.add(services_.timers().now() - began);
  if (ready != Io::ok) co_return ready;
  const Transfer transfer = connection().try_read(client_->input.prepare(body_read_max));
  client_->input.commit(transfer.size);
  co_return transfer.io;
}

Problem Transaction::too_large() const {
  return Problem(413, "body_too_large",
                 fmt::format("The body may have {} bytes at most.", body_max_));
}

// Whether the connection takes another request. What is left of this one's body is read over if it
// is here already.
bool Transaction::end() {
  InputBuffer& input = client_->input;
  input.consume(std::min(to_consume_, input.view().size()));
  to_consume_ = 0;
  while (!body_done_ && status_ != 0 && keep_alive_ && !input.empty()) {
    const BodyDecoder::Step step = decoder_.next(input.view());
    if (step.bad) break;
    input.consume(step.consumed);
    body_done_ = step.done;
    if (step.consumed == 0) break;
  }
  log();
  if (status_ == 0 || connection().aborted()) return false;
  return keep_alive_ && body_done_ && !client_->last && status_ != 101;
}

// Closing at once while the client still sends would reset the connection, and it would never read
// its answer.
awaitable<void> Transaction::linger() {
  co_await connection().shutdown_send(services_.timers().now() + linger_quiet);
  if (body_done_ && client_->input.empty()) co_return;
  client_->input.clear();
  TimePoint now = services_.timers().now();
  const TimePoint began = now;
  while (now - began < (services_.draining ? linger_quiet : linger_time)) {
    const Io ready = co_await connection().wait_readable(now + linger_quiet);
    if (ready != Io::ok) co_return;
    const Transfer transfer = connection().try_read(client_->input.prepare());
    if (transfer.io != Io::ok) co_return;
    now = services_.timers().now();
  }
}

void Transaction::set_route(const SiteRoute& route) {
  if (route_) return;
  route_ = &route;
  services_.context.metrics.of(route_).in_flight.add();
}

void Transaction::count() {
  ShardMetrics& metrics = services_.context.metrics;
  if (route_) metrics.of(route_).in_flight.add(-1);
  ShardMetrics::Ended ended;
  ended.route = route_;
  ended.listener = listener_index();
  ended.method = head().method;
  ended.status = status_;
  ended.reason = reason_;
  ended.bytes_in = body_read_;
  ended.bytes_out = bytes_out_;
  ended.duration =
      std::chrono::duration_cast<jobs::milliseconds>(services_.timers().now() - arrived_);
  metrics.ended(ended);
}

void Transaction::log() {
  count();
  if (!services_.log.enabled()) return;
  ExchangeLine line;
  line.time = arrived_wall_;
  line.request_id = request_id_;
  line.trace_id = trace_id();
  line.job_id = job_id_;
  line.client = address_;
  line.method = head().method;
  line.host = head().authority;
  line.path = target_.path;
  if (route_) line.route = route_->config->name;
  if (const auto agent = head().fields.find("User-Agent")) line.user_agent = *agent;
  line.minor_version = head().minor_version;
  if (const Tls* const tls = client_->connection.tls()) line.tls_version = tls->version();
  line.status = status_;
  line.bytes_in = body_read_;
  line.bytes_out = bytes_out_;
  line.duration =
      std::chrono::duration_cast<std::chrono::microseconds>(services_.timers().now() - arrived_);
  line.reason = reason_;
  services_.log.exchange(line);
}

}  // namespace raincheck::proxy
