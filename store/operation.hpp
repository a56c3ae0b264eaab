// What travels between a shard and the threads of the store: an operation with its answer. It lives
// in the frame of the coroutine that awaits it, which stays where it is until the answer is there.
// Made and completed on the shard, filled in on a thread of the store, never on both at once.
#pragma once

#include <optional>
#include <utility>

#include "store/awaitable.hpp"
#include "store/command.hpp"

namespace raincheck::store {

struct ClientImpl;

struct Operation {
  explicit Operation(ClientImpl& of) : client(of) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  bool await_ready() const { return false; }

  ClientImpl& client;
  Promise* asker = nullptr;
  std::optional<jobs::Error> error;

 protected:
  ~Operation() = default;
};

struct CommandOperation : Operation {
  template <class C>
  CommandOperation(ClientImpl& of, C with)
      : Operation(of), bytes(weight(with)), command(std::in_place_type<C>, std::move(with)) {}

  template <class P>
  void await_suspend(std::coroutine_handle<P> awaiting) {
    asker = &awaiting.promise();
    submit();
  }

  const std::size_t bytes;  // of bodies and heads that it brings to disk
  Command command;

 private:
  void submit();
  static std::size_t weight(const Insert& insert) {
    return insert.job.head.size() + insert.job.body.bytes.size();
  }
  static std::size_t weight(const Finish& finish) {
    return finish.response.head.size() + finish.response.body.bytes.size();
  }
  static std::size_t weight(const Follow& follow) { return follow.monitor.size(); }
  template <class C>
  static std::size_t weight(const C&) {
    return 0;
  }
};

// Awaited: the command with its reply filled in.
template <class C>
struct Applied final : CommandOperation {
  Applied(ClientImpl& of, C with) : CommandOperation(of, std::move(with)) {}

  jobs::Result<C> await_resume() {
    if (error) return std::move(*error);
    C& done = std::get<C>(command);
    if constexpr (std::is_same_v<C, Insert>) {
      if (done.refused) {
        return jobs::Error(jobs::Fault::store_full, "the store has reached its limit");
      }
    }
    return std::move(done);
  }
};

// Awaited: what was found.
struct FindOperation final : Operation {
  FindOperation(ClientImpl& of, Find with) : Operation(of), find(std::move(with)) {}

  template <class P>
  void await_suspend(std::coroutine_handle<P> awaiting) {
    asker = &awaiting.promise();
    submit();
  }
  jobs::Result<Find> await_resume() {
    if (error) return std::move(*error);
    return std::move(find);
  }

  Find find;

 private:
  void submit();
};

struct FileOperation : Operation {
  explicit FileOperation(ClientImpl& of) : Operation(of) {}
  virtual ~FileOperation() = default;
  // On a file thread.
  virtual void run() = 0;

  template <class P>
  void await_suspend(std::coroutine_handle<P> awaiting) {
    asker = &awaiting.promise();
    submit();
  }

 private:
  void submit();
};

}  // namespace raincheck::store
