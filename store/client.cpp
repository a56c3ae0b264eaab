#include <boost/asio/post.hpp>

#include "store/store_impl.hpp"

namespace raincheck::store {
namespace {

namespace asio = boost::asio;
using jobs::Result;

// `Work` runs on a file thread and returns a Result<T>.
template <class T, class Work>
struct FileCall final : FileOperation {
  FileCall(ClientImpl& of, Work what) : FileOperation(of), work(what) {}

  void run() override { result = work(); }

  Result<T> await_resume() {
    if (error) return std::move(*error);
    return std::move(result);
  }

  Work work;
  Result<T> result = jobs::Error();
};

template <class T, class Work>
awaitable<Result<T>> on_file_thread(ClientImpl& client, Work work) {
  FileCall<T, Work> call(client, work);
  co_return co_await call;
}

// Answers on their way to a shard. Dropped unrun, it drops the waiting coroutines.
class Delivery {
 public:
  explicit Delivery(Operations<Operation> answered) : answered_(std::move(answered)) {}
  Delivery(Delivery&&) = default;
  Delivery& operator=(Delivery&&) = delete;
  ~Delivery() {
    for (Operation* const each : answered_) Waiter::drop(*each->asker);
  }

  void operator()() {
    const Operations<Operation> answered = std::exchange(answered_, {});
    for (Operation* const each : answered) each->asker->self.resume();
  }

 private:
  Operations<Operation> answered_;
};

}  // namespace

void CommandOperation::submit() {
  client.submit(*this);
}

void FindOperation::submit() {
  client.submit(*this);
}

void FileOperation::submit() {
  client.submit(*this);
}

template <class T>
void ClientImpl::enqueue(Inbox<T>& inbox, Operations<T>& pending, T& operation) {
  under_way_.fetch_add(1, std::memory_order_relaxed);
  if (!inbox.enter()) {
    operation.error = jobs::Error(jobs::Fault::overloaded, "too much waits for the store");
    deliver({&operation});
    return;
  }
  pending.push_back(&operation);
  if (flush_posted_) return;
  flush_posted_ = true;
  asio::post(io, [this] { flush(); });
}

void ClientImpl::flush() {
  flush_posted_ = false;
  if (!commands_.empty()) store.commands.push(commands_);
  if (!finds_.empty()) store.finds.push(finds_);
  if (!files_.empty()) store.files.push(files_);
}

void ClientImpl::deliver(Operations<Operation> answered) {
  const std::size_t count = answered.size();
  asio::post(io, Delivery(std::move(answered)));
  const std::lock_guard lock(idle_mutex_);
  if (under_way_.fetch_sub(count) == count) idle_.notify_all();
}

void ClientImpl::wait_until_idle() {
  flush();
  if (!store.options.threads) {
    while (store.commit_group() || store.read_group() || store.file_work()) {
    }
  }
  std::unique_lock lock(idle_mutex_);
  idle_.wait(lock, [this] { return under_way_ == 0; });
}

Client::Client(Store& store, boost::asio::io_context& io)
    : impl_(std::make_unique<ClientImpl>(*store.impl_, io)) {}

Client::~Client() {
  impl_->wait_until_idle();
}

bool Client::may_begin() const {
  return impl_->store.spool->space().may_begin();
}

awaitable<Result<List>> Client::list(List with) {
  Backend* const backend = impl_->store.backend.get();
  List* const asked = &with;
  const auto work = [backend, asked] { return backend->list(*asked); };
  const Result<void> listed = co_await on_file_thread<void>(*impl_, work);
  if (!listed) co_return listed.error();
  co_return std::move(with);
}

awaitable<Result<std::unique_ptr<SpoolWriter>>> Client::create(SpoolUse use) {
  Spool* spool = impl_->store.spool.get();
  return on_file_thread<std::unique_ptr<SpoolWriter>>(*impl_,
                                                      [spool, use] { return spool->create(use); });
}

awaitable<Result<void>> Client::append(SpoolWriter& writer, std::string_view bytes) {
  return on_file_thread<void>(*impl_, [&writer, bytes] { return writer.append(bytes); });
}

awaitable<Result<void>> Client::sync(SpoolWriter& writer) {
  Store::Impl* store = &impl_->store;
  return on_file_thread<void>(*impl_, [store, &writer] {
    Result<void> synced = writer.sync();
    if (!synced) store->failed = true;
    return synced;
  });
}

awaitable<Result<std::unique_ptr<SpoolReader>>> Client::open(std::uint64_t number) {
  Spool* spool = impl_->store.spool.get();
  return on_file_thread<std::unique_ptr<SpoolReader>>(
      *impl_, [spool, number] { return spool->open(number); });
}

awaitable<Result<void>> Client::read(SpoolReader& reader,
                                     std::uint64_t offset,
                                     std::span<char> into) {
  return on_file_thread<void>(*impl_,
                              [&reader, offset, into] { return reader.read(offset, into); });
}

}  // namespace raincheck::store
