// Which sockets of a shard can be read or written. Each is registered with epoll once, for both and
// edge-triggered, so that a wait costs no system call and no memory. (Asio's reactor makes one
// epoll_ctl for each wait, and tries before it waits.) The epoll descriptor itself is waited for
// through the io_context. Owned by the shard; lives on its thread.
#pragma once

#include <sys/epoll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstdint>
#include <span>

#include "store/awaitable.hpp"

namespace raincheck::proxy {

// Hears of its descriptor.
class Watched {
 public:
  Watched() = default;
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  // Events of epoll(7), some of them perhaps over already. May destroy anything, itself too.
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~Watched() = default;
};

class Readiness {
 public:
  // Throws boost::system::system_error when the system has no descriptor left.
  explicit Readiness(boost::asio::io_context& io);

  // From now on, until remove(). False: the system refused.
  bool add(int file, Watched& watched);
  // Before `file` is closed.
  void remove(int file, const Watched& watched);
  // Resumes it in another turn of the loop.
  void wake(store::Promise& waiting);
  // The io_context may end.
  void stop();

 private:
  void wait();
  void tell();

  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
  std::span<epoll_event> told_;  // those of this turn
};

}  // namespace raincheck::proxy
