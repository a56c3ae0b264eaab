// The insides of Store and Client, shared by their two source files and nobody else.
#pragma once

#include <condition_variable>
#include <thread>

#include "store/operation.hpp"

namespace raincheck::store {

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
  std::atomic<bool> failed{false};
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> commands_done{0};

 private:
  std::size_t form_group();
  void apply_group();
  void find_batch();
  void ask_for_maintenance();
  void maintain();

  std::deque<std::unique_ptr<CommandOperation>> taken_;  // writer: group formed next from these
  Operations<CommandOperation> group_;                   // writer
  std::vector<Command*> group_commands_;                 // writer
  std::deque<std::unique_ptr<FindOperation>> asked_;     // reader

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

struct Client::Impl {
  Impl(Store::Impl& with_store, boost::asio::io_context& with_io)
      : store(with_store), io(with_io) {}

  // Shard: hands over at the end of this turn of the loop, or answers `overloaded`.
  void submit(std::unique_ptr<CommandOperation> operation);
  void submit(std::unique_ptr<FindOperation> operation);
  void submit(std::unique_ptr<FileOperation> operation);
  void flush();
  // Threads of the store: gives answers back, all of this client's.
  void deliver(Operations<Operation> answered);
  // Returns when nothing is under way any more.
  void wait_until_idle();

  Store::Impl& store;
  boost::asio::io_context& io;

 private:
  template <class T>
  void enqueue(Inbox<T>& inbox, Operations<T>& pending, std::unique_ptr<T> operation);

  Operations<CommandOperation> commands_;
  Operations<FindOperation> finds_;
  Operations<FileOperation> files_;
  bool flush_posted_ = false;
  std::atomic<std::size_t> under_way_{0};
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

}  // namespace raincheck::store
