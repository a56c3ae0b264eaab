#include "store/awaitable.hpp"

#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <stdexcept>
#include <string>
#include <vector>

using raincheck::store::awaitable;
using raincheck::store::Promise;
using raincheck::store::spawn;
using raincheck::store::Waiter;
namespace asio = boost::asio;

namespace {

// Suspends whoever awaits it until somebody takes the waiter.
struct Pause {
  explicit Pause(Promise*& into) : waiting(into) {}
  bool await_ready() const { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> handle) {
    waiting = &handle.promise();
  }
  void await_resume() {}

  Promise*& waiting;
};

// Tells when its frame goes.
struct Trace {
  Trace(std::vector<std::string>& to, std::string called) : log(to), name(std::move(called)) {}
  ~Trace() { log.push_back(name); }
  std::vector<std::string>& log;
  std::string name;
};

awaitable<int> twice(int number, Promise*& waiting) {
  if (number > 100) co_await Pause(waiting);
  co_return 2 * number;
}

awaitable<void> add(int number, Promise*& waiting, int& sum) {
  const int one = co_await twice(number, waiting);
  const int other = co_await twice(number + 1, waiting);
  sum += one + other;
}

awaitable<void> count(int to, Promise*& waiting, int& sum) {
  for (int i = 0; i < to; ++i) sum += co_await twice(i % 50, waiting);
}

awaitable<void> fail(Promise*& waiting) {
  co_await Pause(waiting);
  throw std::runtime_error("no");
}

awaitable<void> pass_on(Promise*& waiting, std::vector<std::string>& log) {
  const Trace trace(log, "outer");
  co_await fail(waiting);
}

awaitable<void> wait_inside(Promise*& waiting, std::vector<std::string>& log) {
  const Trace trace(log, "inner");
  co_await Pause(waiting);
  log.push_back("resumed");
}

awaitable<void> wait_outside(Promise*& waiting, std::vector<std::string>& log) {
  const Trace trace(log, "outer");
  co_await wait_inside(waiting, log);
}

awaitable<void> nothing_or_wait(bool wait, Promise*& waiting) {
  if (!wait) return {};
  std::vector<std::string> unused;
  return fail(waiting);
}

awaitable<void> await_nothing(int& steps, Promise*& waiting) {
  co_await nothing_or_wait(false, waiting);
  ++steps;
}

struct Fixture {
  void start(awaitable<void> task) {
    spawn(io, std::move(task), [this](const std::exception_ptr& error) {
      ++ended;
      try {
        if (error) std::rethrow_exception(error);
      } catch (const std::exception& exception) {
        failure = exception.what();
      }
    });
    io.poll();
  }

  asio::io_context io{1};
  Promise* waiting = nullptr;
  int sum = 0;
  int ended = 0;
  std::string failure;
  std::vector<std::string> log;
};

}  // namespace

TEST_CASE("what does not wait runs through at once") {
  Fixture test;
  test.start(add(1, test.waiting, test.sum));
  CHECK(test.sum == 6);
  CHECK(test.ended == 1);
  CHECK_FALSE(test.waiting);
}

TEST_CASE("what waits goes on where it was, once for each wait") {
  Fixture test;
  test.start(add(100, test.waiting, test.sum));
  CHECK(test.ended == 0);
  REQUIRE(test.waiting);
  Waiter(*std::exchange(test.waiting, nullptr)).resume();
  CHECK(test.sum == 200 + 202);
  CHECK(test.ended == 1);
}

TEST_CASE("a million awaits that do not wait need no stack") {
  Fixture test;
  test.start(count(1'000'000, test.waiting, test.sum));
  CHECK(test.sum == 20'000 * 2 * 49 * 50 / 2);
}

TEST_CASE("an exception passes through to the end, also after a wait") {
  Fixture test;
  test.start(pass_on(test.waiting, test.log));
  REQUIRE(test.waiting);
  Waiter(*test.waiting).resume();
  CHECK(test.failure == "no");
  CHECK(test.log == std::vector<std::string>{"outer"});
}

TEST_CASE("a waiter that is dropped takes its whole chain with it") {
  Fixture test;
  test.start(wait_outside(test.waiting, test.log));
  REQUIRE(test.waiting);
  { const Waiter dropped(*test.waiting); }
  CHECK(test.log == std::vector<std::string>{"inner", "outer"});
  CHECK(test.ended == 0);
}

TEST_CASE("a task that never began is dropped with its loop") {
  std::vector<std::string> log;
  Promise* waiting = nullptr;
  {
    asio::io_context io(1);
    spawn(io, wait_outside(waiting, log), [](const std::exception_ptr&) {});
  }
  CHECK(log.empty());
  CHECK_FALSE(waiting);
}

TEST_CASE("nothing is done already") {
  Fixture test;
  int steps = 0;
  test.start(await_nothing(steps, test.waiting));
  CHECK(steps == 1);
  CHECK(test.ended == 1);
}

TEST_CASE("a loop runs until what was spawned on it has ended") {
  Fixture test;
  test.start(wait_outside(test.waiting, test.log));
  REQUIRE(test.waiting);
  asio::post(test.io, [waiter = Waiter(*test.waiting)]() mutable { waiter.resume(); });
  CHECK(test.io.run() == 1);
  CHECK(test.ended == 1);
  CHECK(test.log == std::vector<std::string>{"resumed", "inner", "outer"});
}
