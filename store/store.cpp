#include "store/store.hpp"

#include <pthread.h>

#include <algorithm>

#include "store/store_impl.hpp"

namespace raincheck::store {
namespace {

constexpr std::size_t file_threads = 2;
constexpr std::size_t finds_max = 1'024;  // in one read transaction

// Gives every client its answers in one go, in order.
template <class Range>
void deliver(Range& answered) {
  std::vector<std::pair<ClientImpl*, Operations<Operation>>> by_client;
  for (Operation* const operation : answered) {
    ClientImpl* const client = &operation->client;
    auto found = std::find_if(by_client.begin(), by_client.end(),
                              [client](const auto& each) { return each.first == client; });
    if (found == by_client.end()) {
      found = by_client.emplace(by_client.end(), client, Operations<Operation>());
      found->second.reserve(answered.size());
    }
    found->second.push_back(operation);
  }
  answered.clear();
  for (auto& [client, operations] : by_client) client->deliver(std::move(operations));
}

template <class Work>
std::thread named_thread(const char* name, Work work) {
  std::thread thread(std::move(work));
  ::pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace

Store::Impl::Impl(std::unique_ptr<Backend> with_backend,
                  std::unique_ptr<Spool> with_spool,
                  const StoreOptions& with_options)
    : options(with_options),
      spool(std::move(with_spool)),
      backend(std::move(with_backend)),
      commands(options.queue_max),
      finds(options.queue_max),
      files(options.queue_max) {}

void Store::Impl::start_threads() {
  writer_ = named_thread("store-writer", [this] {
    while (!taken_.empty() || commands.wait()) commit_group();
  });
  reader_ = named_thread("store-reader", [this] {
    while (finds.wait()) read_group();
  });
  for (std::size_t i = 0; i < file_threads; ++i) {
    file_threads_.push_back(named_thread("store-file", [this] {
      while (files.wait()) file_work();
    }));
  }
  maintenance_ = named_thread("store-upkeep", [this] { maintain(); });
}

void Store::Impl::stop() {
  commands.stop();
  finds.stop();
  files.stop();
  {
    const std::lock_guard lock(maintenance_mutex_);
    maintenance_over_ = true;
  }
  maintenance_wanted_.notify_one();
  for (std::thread* thread : {&writer_, &reader_, &maintenance_}) {
    if (thread->joinable()) thread->join();
  }
  for (std::thread& thread : file_threads_) thread.join();
}

// Moves the next group out of what waits: as many as the limits allow, but at least one.
std::size_t Store::Impl::form_group() {
  if (taken_.size() < options.group_commands_max) {
    commands.take(taken_, options.group_commands_max - taken_.size());
  }
  std::size_t bytes = 0;
  while (!taken_.empty() && group_.size() < options.group_commands_max) {
    bytes += taken_.front()->bytes;
    if (bytes > options.group_bytes_max && !group_.empty()) break;
    group_.push_back(taken_.front());
    taken_.pop_front();
  }
  commands.leave(group_.size());
  return group_.size();
}

bool Store::Impl::commit_group() {
  if (form_group() == 0) return false;
  apply_group();
  deliver(group_);
  if (backend->checkpoint_due()) ask_for_maintenance();
  return true;
}

void Store::Impl::apply_group() {
  if (failed.load(std::memory_order_relaxed)) {
    for (CommandOperation* const each : group_) {
      each->error = jobs::Error(jobs::Fault::store_failed, "the store failed earlier");
    }
    return;
  }
  group_commands_.clear();
  for (CommandOperation* const each : group_) group_commands_.push_back(&each->command);
  const jobs::TimePoint began = jobs::system_clock().now();
  jobs::Result<void> applied;
  {
    const std::lock_guard lock(applying);
    applied = backend->apply(group_commands_);
  }
  if (applied) {
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(jobs::system_clock().now() - began);
    metrics.duration.observe(took.count());
    metrics.commands.observe(static_cast<std::int64_t>(group_.size()));
    commits.fetch_add(1, std::memory_order_relaxed);
    commands_done.fetch_add(group_.size(), std::memory_order_relaxed);
    return;
  }
  const jobs::Error error = applied.error();
  if (error.fault == jobs::Fault::store_failed) failed = true;
  for (CommandOperation* const each : group_) each->error = error;
}

bool Store::Impl::read_group() {
  finds.take(asked_, finds_max);
  if (asked_.empty()) return false;
  finds.leave(asked_.size());
  find_batch();
  deliver(asked_);
  return true;
}

// When a batch cannot be read, every job is read by itself, so that only a damaged one suffers.
void Store::Impl::find_batch() {
  std::vector<Find*> batch;
  batch.reserve(asked_.size());
  for (FindOperation* const each : asked_) batch.push_back(&each->find);
  if (backend->find(batch)) return;
  for (FindOperation* const each : asked_) {
    Find* single = &each->find;
    const jobs::Result<void> found = backend->find(std::span(&single, 1));
    if (!found) each->error = found.error();
  }
}

bool Store::Impl::file_work() {
  std::deque<FileOperation*> one;
  files.take(one, 1);
  if (one.empty()) return false;
  files.leave(1);
  one.front()->run();
  deliver(one);
  return true;
}

void Store::Impl::ask_for_maintenance() {
  if (maintenance_asked_.exchange(true)) return;
  {
    const std::lock_guard lock(maintenance_mutex_);
    maintenance_due_ = true;
  }
  maintenance_wanted_.notify_one();
}

void Store::Impl::maintain() {
  std::unique_lock lock(maintenance_mutex_);
  while (true) {
    maintenance_wanted_.wait(lock, [this] { return maintenance_due_ || maintenance_over_; });
    if (maintenance_over_) return;
    maintenance_due_ = false;
    maintenance_asked_ = false;
    lock.unlock();
    backend->checkpoint();
    lock.lock();
  }
}

Store::Store(std::unique_ptr<Backend> backend, std::unique_ptr<Spool> spool, StoreOptions options)
    : impl_(std::make_unique<Impl>(std::move(backend), std::move(spool), options)) {
  if (options.threads) impl_->start_threads();
}

Store::~Store() {
  impl_->stop();
}

Backend& Store::backend() {
  return *impl_->backend;
}

Spool& Store::spool() {
  return *impl_->spool;
}

bool Store::failed() const {
  return impl_->failed;
}

std::unique_lock<std::mutex> Store::between_commits() {
  return std::unique_lock(impl_->applying);
}

Store::Counts Store::counts() const {
  return {impl_->commits, impl_->commands_done};
}

const StoreMetrics& Store::metrics() const {
  return impl_->metrics;
}

bool Store::commit_group() {
  return impl_->commit_group();
}

bool Store::read_group() {
  return impl_->read_group();
}

bool Store::file_work() {
  return impl_->file_work();
}

}  // namespace raincheck::store
