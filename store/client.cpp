#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "store/store_impl.hpp"

namespace raincheck::store {
namespace {

namespace asio = boost::asio;
using jobs::Result;

constexpr asio::use_awaitable_t<Executor> token{};

std::size_t weight(const Insert& command) {
  return command.job.head.size() + command.job.body.bytes.size();
}

std::size_t weight(const Finish& command) {
  return command.response.head.size() + command.response.body.bytes.size();
}

template <class C>
std::size_t weight(const C&) {
  return 0;
}

template <class T, class Handler>
void answer(Handler& handler, Result<T> result) {
  // The handler may end what owns it: it is moved out first.
  Handler resume = std::move(handler);
  std::move(resume)(std::move(result));
}

template <class C, class Handler>
struct ApplyOperation final : CommandOperation {
  ApplyOperation(C with, Handler resume)
      : CommandOperation(Command(std::in_place_type<C>, std::move(with))),
        handler(std::move(resume)) {
    bytes = weight(std::get<C>(command));
  }

  void complete() override {
    C& done = std::get<C>(command);
    if constexpr (std::is_same_v<C, Insert>) {
      if (!error && done.refused) {
        error = jobs::Error(jobs::Fault::store_full, "the store has reached its limit");
      }
    }
    error ? answer<C>(handler, std::move(*error)) : answer<C>(handler, std::move(done));
  }

  Handler handler;
};

template <class Handler>
struct FindOneOperation final : FindOperation {
  FindOneOperation(Find with, Handler resume)
      : FindOperation(std::move(with)), handler(std::move(resume)) {}

  void complete() override {
    error ? answer<Find>(handler, std::move(*error)) : answer<Find>(handler, std::move(find));
  }

  Handler handler;
};

// `Work` runs on a file thread and returns a Result<T>.
template <class T, class Work, class Handler>
struct SpoolOperation final : FileOperation {
  SpoolOperation(Work what, Handler resume) : work(std::move(what)), handler(std::move(resume)) {}

  void run() override { result = work(); }

  void complete() override {
    error ? answer<T>(handler, std::move(*error)) : answer<T>(handler, std::move(result));
  }

  Work work;
  Handler handler;
  Result<T> result = jobs::Error();
};

struct StartApply {
  Client::Impl* client;
  template <class Handler, class C>
  void operator()(Handler&& handler, C command) const {
    using Kind = ApplyOperation<C, std::decay_t<Handler>>;
    client->submit(std::make_unique<Kind>(std::move(command), std::forward<Handler>(handler)));
  }
};

struct StartFind {
  Client::Impl* client;
  template <class Handler>
  void operator()(Handler&& handler, Find find) const {
    using Kind = FindOneOperation<std::decay_t<Handler>>;
    client->submit(std::make_unique<Kind>(std::move(find), std::forward<Handler>(handler)));
  }
};

template <class T>
struct StartFile {
  Client::Impl* client;
  template <class Handler, class Work>
  void operator()(Handler&& handler, Work work) const {
    using Kind = SpoolOperation<T, Work, std::decay_t<Handler>>;
    client->submit(std::make_unique<Kind>(std::move(work), std::forward<Handler>(handler)));
  }
};

template <class T, class Work>
awaitable<Result<T>> on_file_thread(Client::Impl& client, Work work) {
  return asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Result<T>)>(
      StartFile<T>{&client}, token, std::move(work));
}

// Answers on their way to a shard. Whoever drops it unrun drops the waiting coroutines with it.
struct Delivery {
  Operations<Operation> answered;

  void operator()() {
    for (auto& each : answered) {
      const std::unique_ptr<Operation> operation = std::move(each);
      operation->complete();
    }
  }
};

}  // namespace

void Client::Impl::submit(std::unique_ptr<CommandOperation> operation) {
  enqueue(store.commands, commands_, std::move(operation));
}

void Client::Impl::submit(std::unique_ptr<FindOperation> operation) {
  enqueue(store.finds, finds_, std::move(operation));
}

void Client::Impl::submit(std::unique_ptr<FileOperation> operation) {
  enqueue(store.files, files_, std::move(operation));
}

template <class T>
void Client::Impl::enqueue(Inbox<T>& inbox, Operations<T>& pending, std::unique_ptr<T> operation) {
  under_way_.fetch_add(1, std::memory_order_relaxed);
  operation->client = this;
  if (!inbox.enter()) {
    operation->error = jobs::Error(jobs::Fault::overloaded, "too much waits for the store");
    Operations<Operation> refused;
    refused.push_back(std::move(operation));
    deliver(std::move(refused));
    return;
  }
  pending.push_back(std::move(operation));
  if (flush_posted_) return;
  flush_posted_ = true;
  asio::post(io, [this] { flush(); });
}

void Client::Impl::flush() {
  flush_posted_ = false;
  if (!commands_.empty()) store.commands.push(commands_);
  if (!finds_.empty()) store.finds.push(finds_);
  if (!files_.empty()) store.files.push(files_);
}

void Client::Impl::deliver(Operations<Operation> answered) {
  const std::size_t count = answered.size();
  asio::post(io, Delivery{std::move(answered)});
  const std::lock_guard lock(idle_mutex_);
  if (under_way_.fetch_sub(count) == count) idle_.notify_all();
}

void Client::Impl::wait_until_idle() {
  flush();
  if (!store.options.threads) {
    while (store.commit_group() || store.read_group() || store.file_work()) {
    }
  }
  std::unique_lock lock(idle_mutex_);
  idle_.wait(lock, [this] { return under_way_ == 0; });
}

Client::Client(Store& store, boost::asio::io_context& io)
    : impl_(std::make_unique<Impl>(*store.impl_, io)) {}

Client::~Client() {
  impl_->wait_until_idle();
}

template <class C>
awaitable<Result<C>> Client::apply(C with) {
  return asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Result<C>)>(
      StartApply{impl_.get()}, token, std::move(with));
}

template awaitable<Result<Insert>> Client::apply(Insert);
template awaitable<Result<Claim>> Client::apply(Claim);
template awaitable<Result<Expire>> Client::apply(Expire);
template awaitable<Result<Finish>> Client::apply(Finish);
template awaitable<Result<Requeue>> Client::apply(Requeue);
template awaitable<Result<Cancel>> Client::apply(Cancel);
template awaitable<Result<Erase>> Client::apply(Erase);
template awaitable<Result<Prune>> Client::apply(Prune);

awaitable<Result<Find>> Client::find(Find with) {
  return asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Result<Find>)>(
      StartFind{impl_.get()}, token, std::move(with));
}

awaitable<Result<std::unique_ptr<SpoolWriter>>> Client::create() {
  Spool* spool = impl_->store.spool.get();
  return on_file_thread<std::unique_ptr<SpoolWriter>>(*impl_, [spool] { return spool->create(); });
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
