#include "proxy/client_watch.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace raincheck::proxy {

ClientWatch::ClientWatch(Connection& client, std::function<void()> gone)
    : client_(client), state_(std::make_shared<State>()) {
  state_->call = std::move(gone);
  const int file = client.native();
  client.socket().async_wait(
      Socket::wait_read, [state = state_, file](boost::system::error_code error) {
        if (!state->watching) return;
        state->watching = false;
        char byte = 0;
        const ssize_t size = ::recv(file, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        const bool waiting = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        if (!error && (size > 0 || waiting)) return;
        state->gone = true;
        state->call();
      });
}

ClientWatch::~ClientWatch() {
  if (!state_->watching) return;
  state_->watching = false;
  boost::system::error_code ignored;
  client_.socket().cancel(ignored);
}

}  // namespace raincheck::proxy
