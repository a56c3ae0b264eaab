// The awaitable front of the disk: bounded queues, group commit without a timer, answers posted
// back to the asking shard once per batch. Owned by the Server; its threads are the only ones that
// touch a Backend or write a spool file. It never retries a failed commit: every command of the
// batch hears of it.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "jobs/clock.hpp"
#include "jobs/metric.hpp"
#include "store/backend.hpp"
#include "store/operation.hpp"
#include "store/spool.hpp"

namespace raincheck::store {

struct StoreOptions {
  std::size_t queue_max = 16'384;          // commands waiting for the writer, over all shards
  std::size_t group_commands_max = 1'024;  // commands in one transaction
  std::size_t group_bytes_max = 8 * 1024 * 1024;  // their bodies
  bool threads = true;  // false: tests call commit_group() and read_group() themselves
};

// Of commits. Written by the writer; any thread may read.
struct StoreMetrics {
  static constexpr std::array<std::int64_t, 9> size_buckets = {1, 2, 4, 8, 16, 64, 256, 512, 1'024};
  // Of commits that wait for a disk, in microseconds.
  static constexpr std::array<std::int64_t, 10> time_buckets = {
      500, 1'000, 2'500, 5'000, 10'000, 25'000, 100'000, 500'000, 2'500'000, 10'000'000};

  jobs::Histogram commands{size_buckets};  // in one commit
  jobs::Histogram duration{time_buckets};  // of a commit, its sync included
};

class Store {
 public:
  struct Impl;

  // Starts the writer, reader, file and maintenance threads.
  Store(std::unique_ptr<Backend> backend, std::unique_ptr<Spool> spool, StoreOptions options);
  // Stops: what is queued is committed first. Every Client must be gone.
  ~Store();

  Backend& backend();
  Spool& spool();
  // After a failed sync: nothing is accepted any more, and the process should end so that another
  // reads the truth.
  bool failed() const;
  // While it is held, nothing is committed, and the holder may use what the backend has for its
  // start. Any thread, not for long.
  std::unique_lock<std::mutex> between_commits();
  // Durable commits, and commands in them, so far.
  struct Counts {
    std::uint64_t commits = 0;
    std::uint64_t commands = 0;
  };
  Counts counts() const;
  const StoreMetrics& metrics() const;

  // What the threads run; true if there was something to do. For tests with `threads` off.
  bool commit_group();
  bool read_group();
  bool file_work();

 private:
  friend class Client;
  std::unique_ptr<Impl> impl_;
};

// A shard's side of the store: hands over what one turn of the loop asked for in one go, and
// resumes the askers on the shard's thread. Every function but the constructor is called on that
// thread. A command whose queue is full fails with `overloaded` at once, one after a failed sync
// with `store_failed`. A wait cannot be canceled, because a commit cannot: the answer comes,
// exactly once, through the io_context, or the io_context drops the waiting coroutine when it ends.
class Client {
 public:
  // The store outlives the io_context, and that the client.
  Client(Store& store, boost::asio::io_context& io);
  // Hands over what is left and returns when the store is done with it.
  ~Client();

  // `with` goes to the writer and comes back with its reply filled in.
  template <class C>
  Applied<C> apply(C with) {
    return Applied<C>(*impl_, std::move(with));
  }
  // Whether there is room for the result of a call that begins now.
  bool may_begin() const;
  FindOperation find(Find with) { return FindOperation(*impl_, std::move(with)); }
  awaitable<jobs::Result<List>> list(List with);

  // Spool files, on the store's file threads.
  awaitable<jobs::Result<std::unique_ptr<SpoolWriter>>> create(SpoolUse use);
  awaitable<jobs::Result<void>> append(SpoolWriter& writer, std::string_view bytes);
  awaitable<jobs::Result<void>> sync(SpoolWriter& writer);
  awaitable<jobs::Result<std::unique_ptr<SpoolReader>>> open(std::uint64_t number);
  awaitable<jobs::Result<void>> read(SpoolReader& reader,
                                     std::uint64_t offset,
                                     std::span<char> into);

 private:
  std::unique_ptr<ClientImpl> impl_;
};

}  // namespace raincheck::store
