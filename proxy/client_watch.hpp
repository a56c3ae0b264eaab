// Notices that a client ended its connection while its answer is still being made. Lives in the
// coroutine that makes it; nothing else reads from the connection meanwhile.
#pragma once

#include <functional>
#include <memory>

#include "proxy/connection.hpp"

namespace raincheck::proxy {

class ClientWatch {
 public:
  // `gone` is called once, on the shard, when the client has ended. A client that sends more is not
  // watched further.
  ClientWatch(Connection& client, std::function<void()> gone);
  ~ClientWatch();
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

  bool gone() const { return state_->gone; }

 private:
  struct State {
    std::function<void()> call;
    bool gone = false;
    bool watching = true;
  };

  Connection& client_;
  std::shared_ptr<State> state_;
};

}  // namespace raincheck::proxy
