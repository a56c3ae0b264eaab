#include "proxy/health_checks.hpp"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/manual_clock.hpp"
#include "tests/support/server_slots.hpp"

using namespace raincheck::proxy;
using namespace std::chrono_literals;
using raincheck::config::HealthCheck;
using raincheck::test::ManualClock;

namespace {

// Answers as the test says, at once or when it is let go.
class ScriptedProbe final : public HealthProbe {
 public:
  ScriptedProbe(boost::asio::io_context& io, Timers& timers) : hang_(io, timers), timers_(timers) {}

  awaitable<std::string> check(std::size_t server,
                               TimePoint deadline,
                               AbortRequest& abort) override {
    ++checks[server];
    asked_at.push_back(timers_.now());
    if (!hangs) co_return is_down[server] ? std::string("scripted") : std::string();
    abort.end = [this] { hang_.notify(); };
    co_await hang_.wait(deadline);
    abort.end = nullptr;
    co_return std::string("late");
  }

  bool hangs = false;
  std::vector<bool> is_down{false, false};
  std::vector<int> checks{0, 0};
  std::vector<TimePoint> asked_at;

 private:
  Signal hang_;
  Timers& timers_;
};

struct Fixture {
  explicit Fixture(std::size_t servers = 2) {
    upstream.servers.resize(servers);
    upstream.health_check.path = "/health";
    slots = raincheck::test::make_server_slots(upstream);
    auto scripted = std::make_unique<ScriptedProbe>(io, timers);
    probe = scripted.get();
    checks = std::make_unique<HealthChecks>(io, timers, upstream, slots, std::move(scripted), 7,
                                            [this] { ++recovered; });
    checks->start(tasks);
    io.poll();
  }
  ~Fixture() {
    checks->stop();
    run();
    CHECK(tasks.size() == 0);
  }
  void run() {
    io.restart();
    io.poll();
    timers.run_due();
    io.restart();
    io.poll();
  }
  // So many checks of each server.
  void pass(int intervals) {
    for (int i = 0; i < intervals; ++i) {
      clock.advance(11s);
      run();
    }
  }
  bool is_down(std::size_t server) { return slots[server]->held(); }

  boost::asio::io_context io{1};
  ManualClock clock;
  Timers timers{clock};
  TaskGroup tasks{io, timers};
  raincheck::config::Upstream upstream;
  ServerSlots slots;
  ScriptedProbe* probe = nullptr;
  std::unique_ptr<HealthChecks> checks;
  int recovered = 0;
};

}  // namespace

TEST_CASE("a server is down after so many failures in a row, and up after so many good answers") {
  const HealthCheck settings;  // rise 2, fall 3
  Health health(settings, true);
  CHECK_FALSE(health.observe(false));
  CHECK_FALSE(health.observe(false));
  CHECK_FALSE(health.observe(true));
  CHECK_FALSE(health.observe(false));
  CHECK_FALSE(health.observe(false));
  CHECK(health.is_up());
  CHECK(health.observe(false));
  CHECK_FALSE(health.is_up());
  CHECK_FALSE(health.observe(false));
  CHECK_FALSE(health.observe(true));
  CHECK_FALSE(health.observe(false));
  CHECK_FALSE(health.observe(true));
  CHECK(health.observe(true));
  CHECK(health.is_up());
}

TEST_CASE("checks are spread over a tenth of the interval on both sides") {
  std::set<std::chrono::milliseconds> pauses;
  for (std::uint32_t i = 0; i < 5'000; ++i) pauses.insert(jittered(10s, i));
  CHECK(*pauses.begin() == 9s);
  CHECK(*pauses.rbegin() == 11s);
  CHECK(pauses.size() == 2'001);
  CHECK(jittered(1ms, 4'000'000'000) == 1ms);
}

TEST_CASE("servers are checked at once and at every interval, and are held while they are down") {
  Fixture checks;
  CHECK(checks.probe->checks == std::vector<int>{1, 1});
  checks.probe->is_down[1] = true;
  checks.pass(2);
  CHECK_FALSE(checks.is_down(1));
  checks.pass(1);
  CHECK(checks.is_down(1));
  CHECK_FALSE(checks.is_down(0));
  CHECK(checks.probe->checks == std::vector<int>{4, 4});
  checks.probe->is_down[1] = false;
  checks.pass(1);
  CHECK(checks.is_down(1));
  checks.pass(1);
  CHECK_FALSE(checks.is_down(1));
  CHECK(checks.recovered == 0);
}

TEST_CASE("that one is up after none was is told, once") {
  Fixture checks;
  checks.probe->is_down = {true, true};
  checks.pass(3);
  CHECK(checks.is_down(0));
  CHECK(checks.is_down(1));
  checks.probe->is_down = {false, false};
  checks.pass(2);
  CHECK_FALSE(checks.is_down(0));
  CHECK(checks.recovered == 1);
}

TEST_CASE("who wants a server is woken when it is up") {
  Fixture checks;
  int woken = 0;
  checks.slots[0]->set_wake({[&woken] { ++woken; }});
  checks.probe->is_down[0] = true;
  checks.pass(3);
  checks.slots[0]->want(0);
  checks.probe->is_down[0] = false;
  checks.pass(1);
  CHECK(woken == 0);
  checks.pass(1);
  CHECK(woken == 1);
}

TEST_CASE("no check comes earlier than nine tenths of the interval after the one before") {
  Fixture checks(1);
  for (int i = 0; i < 1'000; ++i) {
    checks.clock.advance(100ms);
    checks.run();
  }
  const auto& times = checks.probe->asked_at;
  REQUIRE(times.size() >= 9);
  CHECK(times.size() <= 12);
  for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] - times[i - 1] >= 9s);
}

TEST_CASE("a check that is not answered ends at its timeout, or when the process stops") {
  Fixture checks(1);
  checks.probe->hangs = true;
  checks.pass(1);
  CHECK(checks.probe->checks[0] == 2);
  checks.clock.advance(1'999ms);
  checks.run();
  CHECK(checks.tasks.size() == 1);
  CHECK_FALSE(checks.is_down(0));
  checks.pass(8);
  CHECK(checks.is_down(0));
  checks.checks->stop();
  checks.run();
  CHECK(checks.tasks.size() == 0);
}
