// The owner of coroutines that nobody awaits: a Shard's sessions and attempts. An exception that
// leaves one is logged and ends that one only. Lives on one shard; must be empty when it is
// destroyed.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>

#include "proxy/timers.hpp"

namespace raincheck::proxy {

class TaskGroup {
 public:
  // What is in it is in `all` too.
  TaskGroup(boost::asio::io_context& io, Timers& timers, TaskGroup* all = nullptr)
      : io_(io), all_(all), empty_(io, timers) {}
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts the coroutine. What it refers to must live until it ends.
  void spawn(awaitable<void> task);

  // Any thread.
  std::size_t size() const { return size_; }
  // True when all have ended; false when `deadline` passed first. One caller at a time.
  awaitable<bool> join(TimePoint deadline);

 private:
  void ended(const std::exception_ptr& error);
  void leave();

  boost::asio::io_context& io_;
  TaskGroup* const all_;
  Signal empty_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace raincheck::proxy
