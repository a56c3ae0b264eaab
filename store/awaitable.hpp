// The coroutine type of the program. A coroutine starts when it is awaited and stays on its shard's
// thread; one that ends without waiting costs its caller no more than a function call. Not Asio's:
// a job awaits some sixty, and an aligned allocation, an executor and a handler for each were among
// its largest costs.
#pragma once

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace raincheck::store {

// What every coroutine of the program knows of itself and of the one that awaits it.
struct Promise {
  std::coroutine_handle<> self;
  Promise* awaiting = nullptr;  // null: nobody; it is the first of its chain, or not yet suspended
  std::exception_ptr error;

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) noexcept {
      Promise* const next = ended.promise().awaiting;
      return next ? next->self : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

// A suspended coroutine, held by whoever will wake it. Dropped instead, it takes its whole chain
// with it. Not to be held by the chain itself.
class Waiter {
 public:
  explicit Waiter(Promise& promise) : promise_(&promise) {}
  Waiter(Waiter&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  Waiter& operator=(Waiter&&) = delete;
  ~Waiter() {
    if (promise_) drop(*promise_);
  }

  void resume() { std::exchange(promise_, nullptr)->self.resume(); }

  static void drop(Promise& promise) {
    Promise* first = &promise;
    while (first->awaiting) first = first->awaiting;
    first->self.destroy();
  }

 private:
  Promise* promise_;
};

template <class T>
class [[nodiscard]] awaitable;

template <class T>
struct PromiseOf : Promise {
  awaitable<T> get_return_object();
  template <class V>
  void return_value(V&& with) {
    value.emplace(std::forward<V>(with));
  }
  T take() { return std::move(*value); }

  std::optional<T> value;
};

template <>
struct PromiseOf<void> : Promise {
  awaitable<void> get_return_object();
  void return_void() {}
  void take() {}
};

// Owned by the coroutine that awaits it, once.
template <class T>
class [[nodiscard]] awaitable {
 public:
  using promise_type = PromiseOf<T>;

  explicit awaitable(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  // Nothing is left to do.
  awaitable() requires std::is_void_v<T>
  = default;
  awaitable(awaitable&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  awaitable& operator=(awaitable&&) = delete;
  ~awaitable() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() {
    if (!handle_) return true;
    handle_.resume();
    return handle_.done();
  }
  template <class P>
  void await_suspend(std::coroutine_handle<P> awaiting) {
    handle_.promise().awaiting = &awaiting.promise();
  }
  T await_resume() {
    if constexpr (std::is_void_v<T>) {
      if (!handle_) return;
    }
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return handle_.promise().take();
  }

 private:
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

template <class T>
awaitable<T> PromiseOf<T>::get_return_object() {
  const auto handle = std::coroutine_handle<PromiseOf>::from_promise(*this);
  self = handle;
  return awaitable<T>(handle);
}

inline awaitable<void> PromiseOf<void>::get_return_object() {
  const auto handle = std::coroutine_handle<PromiseOf>::from_promise(*this);
  self = handle;
  return awaitable<void>(handle);
}

// The first of a chain: nobody awaits it, and it destroys itself.
struct Chain {
  struct promise_type : Promise {
    Chain get_return_object() {
      self = std::coroutine_handle<promise_type>::from_promise(*this);
      return {};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// Awaits `task`, then calls `ended` with what it threw, or null. `ended` must not throw.
template <class Ended>
Chain await(boost::asio::io_context& io, awaitable<void> task, Ended ended) {
  const auto work = boost::asio::make_work_guard(io);
  std::exception_ptr error;
  try {
    co_await task;
  } catch (...) {
    error = std::current_exception();
  }
  ended(error);
}

// The same on the thread of `io`, which goes on running until then: begun now if this is that
// thread, else as soon as it can.
template <class Ended>
void spawn(boost::asio::io_context& io, awaitable<void> task, Ended ended) {
  boost::asio::dispatch(io, [&io, task = std::move(task), ended = std::move(ended)]() mutable {
    await(io, std::move(task), std::move(ended));
  });
}

}  // namespace raincheck::store
