#include "proxy/session.hpp"

#include <spdlog/spdlog.h>

#include "proxy/proxy_header.hpp"

namespace raincheck::proxy {

namespace {

// A request that is on its way when the drain begins still gets its answer.
constexpr jobs::milliseconds drain_quiet{1'000};

}  // namespace

std::unique_ptr<Transaction> Transactions::take() {
  if (free_.empty()) return std::make_unique<Transaction>(services_);
  std::unique_ptr<Transaction> transaction = std::move(free_.back());
  free_.pop_back();
  return transaction;
}

void Transactions::give(std::unique_ptr<Transaction> transaction) {
  if (free_.size() < kept_max) free_.push_back(std::move(transaction));
}

Session::Session(std::shared_ptr<Serving> serving,
                 const config::Listener& listener,
                 Descriptor socket,
                 std::string peer)
    : serving_(std::move(serving)),
      client_(listener, std::move(socket), serving_->services.context) {
  set_peer(std::move(peer));
}

void Session::set_peer(std::string peer) {
  client_.peer = std::move(peer);
  client_.peer_trusted = serving_->services.site.trusted().contains(client_.peer);
}

void Session::pass_to(std::shared_ptr<Serving> serving, const config::Listener& listener) {
  next_serving_ = std::move(serving);
  next_listener_ = &listener;
  if (idle_) switch_over();
}

void Session::switch_over() {
  if (!next_serving_) return;
  serving_ = std::move(next_serving_);
  client_.listener = next_listener_;
  client_.peer_trusted = serving_->services.site.trusted().contains(client_.peer);
  client_.is_misled = !client_.listener->tls.certificates.empty() && !client_.connection.tls();
  client_.is_older = true;
}

awaitable<bool> Session::read_proxy_header() {
  const std::string_view why = co_await try_proxy_header();
  if (why.empty()) co_return true;
  spdlog::debug("a connection from {} to {} was closed: {}", client_.peer, client_.listener->name,
                why);
  client_.connection.close();
  co_return false;
}

// Empty: it was read, and the peer is whom it names. Else what is wrong.
awaitable<std::string_view> Session::try_proxy_header() {
  if (!client_.peer_trusted) co_return "it is none of trusted_proxies";
  InputBuffer& input = client_.input;
  const TimePoint deadline = serving_->services.timers().now() + client_.listener->timeouts.header;
  while (true) {
    const Io ready = co_await client_.connection.wait_readable(deadline);
    if (ready == Io::timeout) co_return "its PROXY header took too long";
    if (ready != Io::ok) co_return "it ended within its PROXY header";
    const Transfer transfer = client_.connection.try_read(input.prepare());
    if (transfer.io != Io::ok) co_return "it ended within its PROXY header";
    input.commit(transfer.size);
    ProxyHeader header = parse_proxy_header(client_.listener->proxy_protocol, input.view());
    if (header.parse == Parse::rejected) co_return "it does not begin with a valid PROXY header";
    if (header.parse == Parse::more) continue;
    input.consume(header.size);
    if (!header.address.empty()) set_peer(std::move(header.address));
    co_return "";
  }
}

// Of what comes, which stays there; nothing: there is none in time.
awaitable<std::optional<char>> Session::first_byte(TimePoint deadline) {
  Connection& connection = client_.connection;
  if (!client_.input.empty()) co_return client_.input.view().front();
  while (true) {
    const Io ready = co_await connection.wait_readable(deadline);
    if (ready != Io::ok) co_return std::nullopt;
    const std::optional<char> byte = connection.peek();
    if (byte || !connection.is_there()) co_return byte;
  }
}

awaitable<bool> Session::begin_tls(const ServerTls& tls) {
  Connection& connection = client_.connection;
  const TimePoint deadline = serving_->services.timers().now() + client_.listener->timeouts.header;
  const std::optional<char> first = co_await first_byte(deadline);
  if (!first) {
    connection.close();
    co_return false;
  }
  // A method begins so, and no TLS record.
  client_.is_misled = *first >= 'A' && *first <= 'Z';
  if (client_.is_misled) co_return true;
  connection.begin_tls(tls.accept(), std::string(client_.input.view()));
  client_.input.clear();
  client_.input.release();
  const Io io = co_await connection.shake_hands(deadline);
  if (io == Io::ok) co_return true;
  tell_of_failure(io);
  connection.close();
  co_return false;
}

// Of a handshake that was begun.
void Session::tell_of_failure(Io io) {
  const Tls& tls = *client_.connection.tls();
  const bool is_late = io == Io::timeout;
  const HandshakeFailure failure = is_late ? HandshakeFailure::timeout : tls.failure();
  std::string_view why = tls.why();
  if (is_late) why = "its TLS handshake took too long";
  Services& services = serving_->services;
  const config::Listener& listener = *client_.listener;
  services.context.metrics.handshake_failed(listener, failure);
  if (is_refusal(failure)) {
    services.context.warnings.refused_client(listener, client_.peer, failure, why);
  } else {
    spdlog::debug("a connection from {} to {} was closed: {}", client_.peer, listener.name, why);
  }
}

void Session::refuse(std::string_view response) {
  client_.connection.try_write(Parts(response));
  client_.connection.close();
}

void Session::drain() {
  client_.last = true;
  if (idle_) client_.connection.read_until(serving_->services.timers().now() + drain_quiet);
}

// Waits without a buffer.
awaitable<Io> Session::first_bytes(TimePoint deadline) {
  InputBuffer& input = client_.input;
  while (true) {
    input.release();
    const Io ready = co_await client_.connection.wait_readable(deadline);
    if (ready != Io::ok) co_return ready;
    const Transfer transfer = client_.connection.try_read(input.prepare());
    input.commit(transfer.size);
    if (transfer.size != 0 || transfer.io != Io::ok) co_return transfer.io;
  }
}

awaitable<void> Session::run() {
  Connection& connection = client_.connection;
  // A new connection has as long for its first request as for a header.
  jobs::milliseconds patience = client_.listener->timeouts.header;
  while (true) {
    if (client_.input.empty()) {
      const Io io = co_await first_bytes(serving_->services.timers().now() + patience);
      if (io != Io::ok) break;
    }
    idle_ = false;
    std::unique_ptr<Transaction> transaction = serving_->transactions.take();
    const bool go_on = co_await transaction->serve(client_);
    serving_->transactions.give(std::move(transaction));
    if (!go_on) break;
    idle_ = true;
    switch_over();
    patience = client_.listener->timeouts.idle;
  }
  if (idle_) connection.close_notify();
  connection.close();
}

}  // namespace raincheck::proxy
