// The insides of Store and Client, shared by their two source files and nobody else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "store/store.hpp"

namespace raincheck::store {

template <class T>
using Operations = std::vector<T*>;

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
      queue_.insert(queue_.end(), operations.begin(), operations.end());
    }
    operations.clear();
    ready_.notify_one();
  }

  // Adds at most `count` operations to `into`.
  void take(std::deque<T*>& into, std::size_t count) {
    const std::lock_guard lock(mutex_);
    while (count-- > 0 && !queue_.empty()) {
      into.push_back(queue_.front());
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
  std::deque<T*> queue_;  // guarded by mutex_
  bool stopped_ = false;  // guarded by mutex_
};

struct Store::Impl {
  Impl(std::unique_ptr<Backend> with_backend,
       std::unique_ptr<Spool> with_spool,
       const StoreOptions& with_options);

  void start_threads();
  void stop();

  bool commit_group();
  bool read_group();
  bool file_work();

  const StoreOptions options;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Backend> backend;
  Inbox<CommandOperation> commands;
  Inbox<FindOperation> finds;
  Inbox<FileOperation> files;
  std::mutex applying;  // held while a batch is applied
  std::atomic<bool> failed{false};
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> commands_done{0};
  StoreMetrics metrics;

 private:
  std::size_t form_group();
  void apply_group();
  void find_batch();
  void ask_for_maintenance();
  void maintain();

  std::deque<CommandOperation*> taken_;   // writer: group formed next from these
  Operations<CommandOperation> group_;    // writer
  std::vector<Command*> group_commands_;  // writer
  std::deque<FindOperation*> asked_;      // reader

  std::mutex maintenance_mutex_;
  std::condition_variable maintenance_wanted_;
  bool maintenance_due_ = false;   // guarded by maintenance_mutex_
  bool maintenance_over_ = false;  // guarded by maintenance_mutex_
  std::atomic<bool> maintenance_asked_{false};

  std::thread writer_;
  std::thread reader_;
  std::thread maintenance_;
  std::vector<std::thread> file_threads_;
};

struct ClientImpl {
  ClientImpl(Store::Impl& with_store, boost::asio::io_context& with_io)
      : store(with_store), io(with_io) {}

  // Shard: hands over at the end of this turn of the loop, or answers `overloaded`.
  void submit(CommandOperation& operation) { enqueue(store.commands, commands_, operation); }
  void submit(FindOperation& operation) { enqueue(store.finds, finds_, operation); }
  void submit(FileOperation& operation) { enqueue(store.files, files_, operation); }
  void flush();
  // Threads of the store: gives answers back, all of this client's.
  void deliver(Operations<Operation> answered);
  // Returns when nothing is under way any more.
  void wait_until_idle();

  Store::Impl& store;
  boost::asio::io_context& io;

 private:
  template <class T>
  void enqueue(Inbox<T>& inbox, Operations<T>& pending, T& operation);

  Operations<CommandOperation> commands_;
  Operations<FindOperation> finds_;
  Operations<FileOperation> files_;
  bool flush_posted_ = false;
  std::atomic<std::size_t> under_way_{0};
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

}  // namespace raincheck::store
