#include "proxy/timers.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/manual_clock.hpp"

using namespace raincheck::proxy;
using namespace std::chrono_literals;
using raincheck::test::ManualClock;
namespace asio = boost::asio;

namespace {

class Watched final : public Timed {
 public:
  explicit Watched(Timers& timers) { timers.watch(*this); }
  int passed = 0;

 private:
  void on_deadline() override { ++passed; }
};

struct Fixture {
  ManualClock clock;
  asio::io_context io{1};
  Timers timers{clock};

  void advance(std::chrono::milliseconds time) {
    clock.advance(time);
    timers.run_due();
    io.restart();
    io.poll();
  }
  void poll() {
    io.restart();
    io.poll();
  }
};

awaitable<void> wait_for(Signal& signal, TimePoint deadline, std::string& heard) {
  const bool notified = co_await signal.wait(deadline);
  heard += notified ? "notified " : "late ";
}

void spawn(Fixture& fixture, Signal& signal, TimePoint deadline, std::string& heard) {
  raincheck::store::spawn(fixture.io, wait_for(signal, deadline, heard),
                          [](std::exception_ptr error) {
                            if (error) std::rethrow_exception(error);
                          });
  fixture.poll();
}

}  // namespace

TEST_CASE("calls are made when their time has come, in the order of their times") {
  Fixture fixture;
  std::vector<int> made;
  const TimePoint now = fixture.clock.now();
  fixture.timers.at(now + 20ms, [&] { made.push_back(2); });
  fixture.timers.at(now + 10ms, [&] { made.push_back(1); });
  fixture.timers.at(now + 20ms, [&] { made.push_back(3); });
  CHECK(fixture.timers.next() == now + 10ms);
  fixture.advance(9ms);
  CHECK(made.empty());
  fixture.advance(1ms);
  CHECK(made == std::vector<int>{1});
  fixture.advance(1h);
  CHECK(made == std::vector<int>{1, 2, 3});
  CHECK_FALSE(fixture.timers.next());
}

TEST_CASE("a call that was cancelled is not made") {
  Fixture fixture;
  int made = 0;
  const auto entry = fixture.timers.at(fixture.clock.now() + 10ms, [&] { ++made; });
  fixture.timers.cancel(entry);
  fixture.advance(1s);
  CHECK(made == 0);
}

TEST_CASE("a call that is due may make another, and cancel the next") {
  Fixture fixture;
  std::string made;
  const TimePoint now = fixture.clock.now();
  const auto doomed = fixture.timers.at(now + 2ms, [&] { made += "doomed "; });
  fixture.timers.at(now + 1ms, [&] {
    made += "first ";
    fixture.timers.cancel(doomed);
    fixture.timers.at(now + 3ms, [&] { made += "second "; });
  });
  fixture.advance(10ms);
  CHECK(made == "first second ");
}

TEST_CASE("a deadline that has passed is told once, until it is set again") {
  Fixture fixture;
  Watched watched(fixture.timers);
  fixture.timers.sweep();
  CHECK(watched.passed == 0);
  watched.set_deadline(fixture.clock.now() + 1s);
  fixture.clock.advance(999ms);
  fixture.timers.sweep();
  CHECK(watched.passed == 0);
  fixture.clock.advance(1ms);
  fixture.timers.sweep();
  fixture.timers.sweep();
  CHECK(watched.passed == 1);
  watched.set_deadline(fixture.clock.now());
  fixture.timers.sweep();
  CHECK(watched.passed == 2);
}

TEST_CASE("a sweep looks at all that are watched, and at none that are gone") {
  Fixture fixture;
  std::vector<std::unique_ptr<Watched>> watched;
  for (int i = 0; i < 5; ++i) {
    watched.push_back(std::make_unique<Watched>(fixture.timers));
    watched.back()->set_deadline(fixture.clock.now());
  }
  watched.erase(watched.begin() + 2);
  watched.erase(watched.begin());
  fixture.timers.sweep();
  for (const auto& each : watched) CHECK(each->passed == 1);
}

TEST_CASE("who waits hears of a notification, through the io_context") {
  Fixture fixture;
  Signal signal(fixture.io, fixture.timers);
  std::string heard;
  spawn(fixture, signal, never, heard);
  CHECK(heard.empty());
  signal.notify();
  CHECK(heard.empty());
  fixture.poll();
  CHECK(heard == "notified ");
}

TEST_CASE("a notification before the wait is remembered, once however often it came") {
  Fixture fixture;
  Signal signal(fixture.io, fixture.timers);
  signal.notify();
  signal.notify();
  std::string heard;
  spawn(fixture, signal, never, heard);
  CHECK(heard == "notified ");
  spawn(fixture, signal, fixture.clock.now() + 1s, heard);
  fixture.advance(1s);
  CHECK(heard == "notified late ");
}

TEST_CASE("a wait ends with its deadline, and leaves no timer behind when it was notified") {
  Fixture fixture;
  Signal signal(fixture.io, fixture.timers);
  std::string heard;
  spawn(fixture, signal, fixture.clock.now() + 1s, heard);
  fixture.advance(999ms);
  CHECK(heard.empty());
  fixture.advance(1ms);
  CHECK(heard == "late ");
  spawn(fixture, signal, fixture.clock.now() + 1s, heard);
  signal.notify();
  fixture.poll();
  CHECK(heard == "late notified ");
  CHECK_FALSE(fixture.timers.next());
}

TEST_CASE("a wait whose deadline has passed already does not wait, but hears what was told") {
  Fixture fixture;
  Signal signal(fixture.io, fixture.timers);
  std::string heard;
  spawn(fixture, signal, fixture.clock.now(), heard);
  CHECK(heard == "late ");
  signal.notify();
  spawn(fixture, signal, fixture.clock.now(), heard);
  CHECK(heard == "late notified ");
}

TEST_CASE("a signal that is destroyed takes its waiter and its timer along") {
  Fixture fixture;
  std::string heard;
  {
    Signal signal(fixture.io, fixture.timers);
    spawn(fixture, signal, fixture.clock.now() + 1s, heard);
  }
  fixture.advance(1h);
  CHECK(heard.empty());
}
