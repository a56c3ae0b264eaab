// One client connection: wait for a request, let a Transaction serve it, again. Idle it holds no
// buffer and no request, so that ten thousand cost little. Owned by its Shard's TaskGroup; lives on
// the shard.
#pragma once

#include <memory>
#include <vector>

#include "proxy/tls_contexts.hpp"
#include "proxy/transaction.hpp"

namespace raincheck::proxy {

// Transactions that are not at work, kept for the next request. One per shard.
class Transactions {
 public:
  static constexpr std::size_t kept_max = 256;

  explicit Transactions(Services& services) : services_(services) {}
  std::unique_ptr<Transaction> take();
  void give(std::unique_ptr<Transaction> transaction);

 private:
  Services& services_;
  std::vector<std::unique_ptr<Transaction>> free_;
};

// What serves requests on a shard under one configuration.
struct Serving {
  Services services;
  Transactions transactions{services};
};

class Session {
 public:
  // `listener`: of the configuration that `serving` is for.
  Session(std::shared_ptr<Serving> serving,
          const config::Listener& listener,
          Descriptor socket,
          std::string peer);

  // Before run(), where the listener wants it: who the client is, from the header before its first
  // request. False: there is none that can be believed, and the connection is over.
  awaitable<bool> read_proxy_header();
  // Before run(), where the listener speaks TLS: the handshake. False: there was none, and the
  // connection is over. A client that speaks plain HTTP is told so by run().
  awaitable<bool> begin_tls(const ServerTls& tls);
  const std::string& peer() const { return client_.peer; }
  // Instead of run(): this answer, and the end.
  void refuse(std::string_view response);
  // Until the connection ends.
  awaitable<void> run();
  // The next request is served by this. `listener`: as above.
  void pass_to(std::shared_ptr<Serving> serving, const config::Listener& listener);
  // One more request at most, which an idle connection has a second for.
  void drain();
  // At once, whatever it is at.
  void abort() { client_.connection.abort(); }

 private:
  void set_peer(std::string peer);
  awaitable<std::string_view> try_proxy_header();
  awaitable<std::optional<char>> first_byte(TimePoint deadline);
  void tell_of_failure(Io io);
  awaitable<Io> first_bytes(TimePoint deadline);

  void switch_over();

  std::shared_ptr<Serving> serving_;
  ClientConnection client_;
  std::shared_ptr<Serving> next_serving_;  // after the request that is being served
  const config::Listener* next_listener_ = nullptr;
  bool idle_ = true;
};

}  // namespace raincheck::proxy
