#include "proxy/bulletin.hpp"

#include <doctest/doctest.h>

#include "tests/support/manual_clock.hpp"

using namespace raincheck::proxy;
using namespace std::chrono_literals;
using raincheck::test::ManualClock;
namespace asio = boost::asio;

namespace {

// Two shards that tell each other.
struct Fixture {
  ManualClock clock;
  asio::io_context io{1};
  asio::io_context other_io{1};
  Timers timers{clock};
  Timers other_timers{clock};
  Bulletin here{io, timers};
  Bulletin there{other_io, other_timers};

  Fixture() {
    here.set_others({&there});
    there.set_others({&here});
  }

  void poll() {
    for (int i = 0; i < 4; ++i) {
      for (asio::io_context* each : {&io, &other_io}) {
        each->restart();
        each->poll();
      }
    }
  }
  void advance(std::chrono::milliseconds time) {
    clock.advance(time);
    timers.run_due();
    other_timers.run_due();
    poll();
  }
};

awaitable<void> wait_for(Bulletin::Watch& watch, TimePoint deadline, std::string& heard) {
  const bool changed = co_await watch.wait(deadline);
  heard += changed ? "changed " : "late ";
}

void spawn(asio::io_context& io, Bulletin::Watch& watch, TimePoint deadline, std::string& heard) {
  raincheck::store::spawn(io, wait_for(watch, deadline, heard), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

JobChange an_end(std::int64_t key, std::size_t route, std::chrono::milliseconds ran) {
  JobChange change{key, true, route};
  change.waited = 1s;
  change.ran = ran;
  return change;
}

}  // namespace

TEST_CASE("who waits for a job hears of its change, on its own shard and on another") {
  Fixture fixture;
  Bulletin::Watch here(fixture.here, 7);
  Bulletin::Watch there(fixture.there, 7);
  std::string heard;
  spawn(fixture.io, here, never, heard);
  spawn(fixture.other_io, there, never, heard);
  fixture.poll();
  CHECK(heard.empty());
  fixture.here.publish(JobChange{7});
  fixture.poll();
  CHECK(heard == "changed changed ");
}

TEST_CASE("who waits for one job hears nothing of another") {
  Fixture fixture;
  Bulletin::Watch watch(fixture.here, 7);
  std::string heard;
  spawn(fixture.io, watch, fixture.clock.now() + 1s, heard);
  fixture.poll();
  fixture.here.publish(JobChange{8});
  fixture.there.publish(JobChange{9});
  fixture.poll();
  CHECK(heard.empty());
  fixture.advance(1s);
  CHECK(heard == "late ");
}

TEST_CASE("a change between the making of a watch and the wait is not missed") {
  Fixture fixture;
  Bulletin::Watch watch(fixture.here, 7);
  fixture.here.publish(JobChange{7});
  std::string heard;
  spawn(fixture.io, watch, never, heard);
  fixture.poll();
  CHECK(heard == "changed ");
}

TEST_CASE("all who wait for one job hear of its change") {
  Fixture fixture;
  Bulletin::Watch one(fixture.here, 7);
  Bulletin::Watch two(fixture.here, 7);
  std::string heard;
  spawn(fixture.io, one, never, heard);
  spawn(fixture.io, two, never, heard);
  fixture.poll();
  fixture.there.publish(JobChange{7});
  fixture.poll();
  CHECK(heard == "changed changed ");
}

TEST_CASE("a watch that is gone is not counted and not told") {
  Fixture fixture;
  {
    const Bulletin::Watch watch(fixture.here, 7);
    CHECK(fixture.here.waiters() == 1);
  }
  CHECK(fixture.here.waiters() == 0);
  fixture.here.publish(JobChange{7});
  fixture.poll();
}

TEST_CASE("every shard learns how long the jobs of a route take") {
  Fixture fixture;
  fixture.here.publish(an_end(7, 1, 3s));
  fixture.poll();
  for (const Bulletin* const each : {&fixture.here, &fixture.there}) {
    CHECK(each->durations(0).ran.empty());
    CHECK(each->durations(1).waited.mean() == 1s);
    CHECK(each->durations(1).ran.mean() == 3s);
  }
}

TEST_CASE("a job that ended without running says nothing of how long jobs take") {
  Fixture fixture;
  fixture.here.publish(JobChange{7, true, 1});
  fixture.here.publish(JobChange{8});
  fixture.poll();
  CHECK(fixture.here.durations(1).ran.empty());
  CHECK(fixture.there.durations(1).ran.empty());
}

TEST_CASE("releasing lets every waiter go on") {
  Fixture fixture;
  Bulletin::Watch one(fixture.here, 7);
  Bulletin::Watch two(fixture.here, 8);
  std::string heard;
  spawn(fixture.io, one, never, heard);
  spawn(fixture.io, two, never, heard);
  fixture.poll();
  fixture.here.release_waiters();
  fixture.poll();
  CHECK(heard == "changed changed ");
}
