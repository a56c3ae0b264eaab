#include "proxy/session.hpp"

namespace raincheck::proxy {

std::unique_ptr<Transaction> Transactions::take() {
  if (free_.empty()) return std::make_unique<Transaction>(services_);
  std::unique_ptr<Transaction> transaction = std::move(free_.back());
  free_.pop_back();
  return transaction;
}

void Transactions::give(std::unique_ptr<Transaction> transaction) {
  if (free_.size() < kept_max) free_.push_back(std::move(transaction));
}

Session::Session(Services& services,
                 Transactions& transactions,
                 const config::Listener& listener,
                 Socket socket,
                 std::string peer)
    : services_(services),
      transactions_(transactions),
      client_(listener, std::move(socket), services.context.timers, services.context.buffers) {
  client_.peer = std::move(peer);
  client_.peer_trusted = services.trusted.contains(client_.peer);
}

void Session::drain() {
  client_.last = true;
  if (idle_) client_.connection.abort();
}

awaitable<void> Session::run() {
  Connection& connection = client_.connection;
  // A new connection has as long for its first request as for a header.
  jobs::milliseconds patience = client_.listener.timeouts.header;
  while (true) {
    if (client_.input.empty()) {
      client_.input.release();
      const Io io = co_await connection.wait_readable(services_.timers().now() + patience);
      if (io != Io::ok) break;
    }
    idle_ = false;
    std::unique_ptr<Transaction> transaction = transactions_.take();
    const bool go_on = co_await transaction->serve(client_);
    transactions_.give(std::move(transaction));
    if (!go_on) break;
    idle_ = true;
    patience = client_.listener.timeouts.idle;
  }
  connection.close();
}

}  // namespace raincheck::proxy
