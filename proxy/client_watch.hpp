// Notices that a client ended its connection while its answer is still being made. Looks now and
// then instead of waiting for the socket: most answers are there before the first look, which then
// costs nothing. Lives in the coroutine that makes the answer; nothing else reads from the
// connection meanwhile.
#pragma once

#include <functional>

#include "proxy/connection.hpp"

namespace raincheck::proxy {

class ClientWatch final : public Timed {
 public:
  // `gone` is called once, on the shard, when the client has ended. That a client which has sent
  // more has ended cannot be seen.
  ClientWatch(Connection& client, Timers& timers, std::function<void()> gone);
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

 private:
  void on_deadline() override;

  Connection& client_;
  Timers& timers_;
  std::function<void()> gone_;
};

}  // namespace raincheck::proxy
