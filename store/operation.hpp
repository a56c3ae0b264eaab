// What travels between a shard and the threads of the store: an operation with its answer and the
// coroutine that waits for it. Made and completed on the shard, filled in on a thread of the store,
// never on both at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "store/store.hpp"

namespace raincheck::store {

struct Operation {
  virtual ~Operation() = default;
  // Resumes the asker with the answer. Once, on the shard.
  virtual void complete() = 0;

  Client::Impl* client = nullptr;
  std::optional<jobs::Error> error;
};

struct CommandOperation : Operation {
  explicit CommandOperation(Command with) : command(std::move(with)) {}
  Command command;
  std::size_t bytes = 0;
};

struct FindOperation : Operation {
  explicit FindOperation(Find with) : find(std::move(with)) {}
  Find find;
};

struct FileOperation : Operation {
  // On a file thread.
  virtual void run() = 0;
};

template <class T>
using Operations = std::vector<std::unique_ptr<T>>;

// A bounded queue from many shards to one kind of thread.
template <class T>
class Inbox {
 public:
  explicit Inbox(std::size_t max) : max_(max) {}

  // A place in the queue; false: there is none. Given back with leave().
  bool enter() {
    if (inside_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    leave(1);
    return false;
  }
  void leave(std::size_t count) { inside_.fetch_sub(count, std::memory_order_relaxed); }

  // Hands over operations that have entered.
  void push(Operations<T>& operations) {
    {
      const std::lock_guard lock(mutex_);
      for (auto& each : operations) queue_.push_back(std::move(each));
    }
    operations.clear();
    ready_.notify_one();
  }

  // Adds at most `count` operations to `into`.
  void take(std::deque<std::unique_ptr<T>>& into, std::size_t count) {
    const std::lock_guard lock(mutex_);
    while (count-- > 0 && !queue_.empty()) {
      into.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }

  // Returns when there is something to take; false: stopped, and nothing is left.
  bool wait() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
    return !queue_.empty();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    ready_.notify_all();
  }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> inside_{0};
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::unique_ptr<T>> queue_;  // guarded by mutex_
  bool stopped_ = false;                  // guarded by mutex_
};

}  // namespace raincheck::store
