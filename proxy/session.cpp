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
                 Descriptor socket,
                 std::string peer)
    : services_(services),
      transactions_(transactions),
      client_(listener, std::move(socket), services.context) {
  client_.peer = std::move(peer);
  client_.peer_trusted = services.site.trusted().contains(client_.peer);
}

void Session::drain() {
  client_.last = true;
  if (idle_) client_.connection.abort();
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
  jobs::milliseconds patience = client_.listener.timeouts.header;
  while (true) {
    if (client_.input.empty()) {
      const Io io = co_await first_bytes(services_.timers().now() + patience);
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
