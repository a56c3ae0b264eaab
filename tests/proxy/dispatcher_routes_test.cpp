// What a dispatcher does with the routes of its upstream.
#include <doctest/doctest.h>

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

TEST_CASE("a job that was claimed as its route was removed ends without a call") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  raincheck::jobs::Job job = proxy->find(id);
  job.route = "removed";
  proxy->slots().take();
  proxy->shard().runner(0).start(std::move(job));
  proxy->run();
  CHECK(proxy.error(id) == ErrorType::route_removed);
  CHECK(proxy.calls() == 1);
  CHECK(proxy->slots().taken() == 1);
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
