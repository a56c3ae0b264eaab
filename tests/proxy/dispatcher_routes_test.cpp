// What a dispatcher does with the routes of its upstream.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
using raincheck::jobs::ErrorType;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using Kind = Script::Kind;
using Targets = std::vector<std::string>;

TEST_CASE("the routes of an upstream take turns, whatever the one has waiting") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(slow(1s));
  proxy.start();
  CHECK_FALSE(proxy->slots().has_backlog());
  for (int i = 0; i < 10; ++i) proxy.unsafe(std::to_string(i));
  CHECK(proxy->slots().has_backlog());
  proxy.safe("a");
  proxy.safe("b");
  for (int i = 0; i < 4; ++i) proxy->advance(1s);
  CHECK(proxy.peer.targets == Targets{"/unsafe/0", "/safe/a", "/unsafe/1", "/safe/b", "/unsafe/2"});
}

TEST_CASE("of a paused route no job begins, while others go on, and one whose time is over ends") {
  ProxyFixture proxy;
  proxy.config.routes[1].async.queue_timeout = 10s;
  proxy.answer_with(slow(1s));
  proxy.start();
  const JobId running = proxy.unsafe("runs");
  proxy->pause_route("unsafe", true);
  const JobId overdue = proxy.unsafe("overdue");
  const JobId other = proxy.safe("other");
  for (int i = 0; i < 5; ++i) proxy->advance(1s);
  const JobId waiting = proxy.unsafe("waiting");
  for (int i = 0; i < 6; ++i) proxy->advance(1s);
  CHECK(proxy.state(running) == State::succeeded);
  CHECK(proxy.state(other) == State::succeeded);
  CHECK(proxy.error(overdue) == ErrorType::expired);
  CHECK(proxy.state(waiting) == State::queued);
  CHECK(proxy->slots().taken() == 0);
  proxy->pause_route("unsafe", false);
  proxy->run();
  proxy->advance(1s);
  CHECK(proxy.state(waiting) == State::succeeded);
  CHECK(proxy.calls() == 3);
}

TEST_CASE("a retry of a paused route waits too") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::lost));
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy->pause_route("safe", true);
  proxy.answer_with(an_answer(200));
  proxy->advance(1h);
  CHECK(proxy.state(id) == State::queued);
  proxy->pause_route("safe", false);
  proxy->run();
  CHECK(proxy.state(id) == State::succeeded);
}

TEST_CASE("jobs of a route that a reload has removed end at once, though every slot is taken") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(hanging());
  proxy.start();
  proxy.safe("runs");
  const JobId gone = proxy.safe("gone");
  const JobId stays = proxy.unsafe("stays");
  proxy->pause_route("safe", true);
  raincheck::config::Config config = proxy.config;
  config.routes.erase(config.routes.begin());
  raincheck::proxy::KnownRoutes known;
  const raincheck::proxy::Site next(config, proxy->store(), known);
  proxy->dispatcher().configure(next, 0, proxy->shard().runner(0));
  proxy->run();
  CHECK(proxy.error(gone) == ErrorType::route_removed);
  CHECK(proxy.state(stays) == State::queued);
  CHECK(proxy->pending() == 2);
  proxy->stop(0ms);
}

namespace {

// Calls `on_claim` once, while jobs are claimed.
class ClaimingBackend final : public PassingBackend {
 public:
  ClaimingBackend(std::unique_ptr<raincheck::store::Backend> to, std::function<void()>& on_claim)
      : PassingBackend(std::move(to)), on_claim_(on_claim) {}

  raincheck::jobs::Result<void> apply(std::span<raincheck::store::Command* const> batch) override {
    const bool claims = std::any_of(batch.begin(), batch.end(), [](const auto* command) {
      return std::holds_alternative<raincheck::store::Claim>(*command);
    });
    if (claims && on_claim_) std::exchange(on_claim_, nullptr)();
    return PassingBackend::apply(batch);
  }

 private:
  std::function<void()>& on_claim_;
};

// Two upstreams, of which the first has the routes and one slot; and what happens as jobs are
// claimed.
struct Reconfigured {
  Reconfigured() {
    proxy.shards = 2;
    proxy.config.upstreams[0].max_concurrency = 1;
    proxy.config.upstreams.push_back(an_upstream("other", 2));
    proxy.wrap = [this](std::unique_ptr<raincheck::store::Backend> backend) {
      return std::make_unique<ClaimingBackend>(std::move(backend), on_claim);
    };
    proxy.answer_with(hanging());
    proxy.start();
  }

  const raincheck::proxy::Site& next(const raincheck::config::Config& config) {
    return sites.emplace_back(config, proxy->store(), known);
  }

  raincheck::proxy::KnownRoutes known;
  std::deque<raincheck::proxy::Site> sites;
  std::function<void()> on_claim;
  ProxyFixture proxy;
};

}  // namespace

TEST_CASE("a job that was claimed as its route was removed ends without a call") {
  Reconfigured test;
  ProxyFixture& proxy = test.proxy;
  proxy->slots().pause(true);
  const JobId id = proxy.unsafe("a");
  raincheck::config::Config config = proxy.config;
  config.routes.pop_back();
  const raincheck::proxy::Site& next = test.next(config);
  test.on_claim = [&] { proxy->configure(next); };
  proxy->slots().pause(false);
  proxy->dispatcher().wake();
  proxy->run();
  CHECK_FALSE(test.on_claim);
  CHECK(proxy.error(id) == ErrorType::route_removed);
  CHECK(proxy.calls() == 0);
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("a route that another upstream has takes along what waits and what was just claimed") {
  Reconfigured test;
  ProxyFixture& proxy = test.proxy;
  proxy->slots().pause(true);
  for (int i = 0; i < 4; ++i) proxy.unsafe(std::to_string(i));
  const JobId stays = proxy.safe("stays");
  raincheck::config::Config config = proxy.config;
  config.routes[1].upstream = "other";
  const raincheck::proxy::Site& next = test.next(config);
  test.on_claim = [&] { proxy->configure(next); };
  proxy->slots().pause(false);
  proxy->dispatcher().wake();
  proxy->run();
  CHECK_FALSE(test.on_claim);
  CHECK(proxy.calls() == 3);
  CHECK(proxy.state(stays) == State::running);
  CHECK(proxy->slots(0).taken() == 1);
  CHECK(proxy->slots(1).taken() == 2);
  proxy->advance(1s);
  CHECK(proxy->dispatcher(0).queued() == 0);
  CHECK(proxy->dispatcher(1).queued() == 2);
  // A session of the configuration before has one more, and tells the dispatcher that it knows.
  proxy.unsafe("late");
  CHECK(proxy->dispatcher(0).queued() == 0);
  CHECK(proxy->dispatcher(1).queued() == 3);
  // ... and back.
  proxy->slots(1).pause(true);
  proxy->configure(test.next(proxy.config));
  proxy.answer_with(an_answer(200));
  proxy->advance(2min);
  CHECK(proxy->dispatcher(0).queued() == 0);
  CHECK(proxy->dispatcher(1).queued() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("a retry of a route that another upstream has by now is made there") {
  Reconfigured test;
  ProxyFixture& proxy = test.proxy;
  proxy.answer_with(slow(1s, a_fault(Kind::lost)));
  const JobId id = proxy.safe("a");
  raincheck::config::Config config = proxy.config;
  config.routes[0].upstream = "other";
  proxy->configure(test.next(config));
  proxy->slots(0).pause(true);
  proxy->advance(1s);
  proxy.answer_with(an_answer(200));
  proxy->advance(2min);
  CHECK(proxy.state(id) == State::succeeded);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("where many slots are free at once, a route has an eighth of them in a turn") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 32;
  proxy.answer_with(hanging());
  proxy.start();
  proxy->slots().pause(true);
  for (int i = 0; i < 40; ++i) proxy.unsafe(std::to_string(i));
  for (int i = 0; i < 6; ++i) proxy.safe(std::to_string(i));
  proxy->slots().pause(false);
  proxy->dispatcher().wake();
  proxy->run();
  const auto is_safe = [](const std::string& target) { return target.starts_with("/safe/"); };
  CHECK(std::count_if(proxy.peer.targets.begin(), proxy.peer.targets.end(), is_safe) == 6);
  CHECK(proxy.calls() == 32);
  proxy->stop(0ms);
}
