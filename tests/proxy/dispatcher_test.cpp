#include "proxy/dispatcher.hpp"

#include <doctest/doctest.h>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
using raincheck::jobs::ErrorType;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using Kind = Script::Kind;
using Targets = std::vector<std::string>;

namespace {

// How long it takes until the next call, in milliseconds; -1: there was none within a minute.
int time_to_next_call(ProxyFixture& proxy) {
  const std::size_t before = proxy.calls();
  for (int ms = 0; ms <= 60'000; ms += 10) {
    if (proxy.calls() != before) return ms;
    proxy->advance(10ms);
  }
  return -1;
}

// Writes down which jobs are asked for: C, the next to start; E, those whose time is over.
class RecordingBackend final : public PassingBackend {
 public:
  RecordingBackend(std::unique_ptr<raincheck::store::Backend> to, std::string& record)
      : PassingBackend(std::move(to)), record_(record) {}

  raincheck::jobs::Result<void> apply(std::span<raincheck::store::Command* const> batch) override {
    for (const raincheck::store::Command* const command : batch) {
      if (std::holds_alternative<raincheck::store::Claim>(*command)) record_.push_back('C');
      if (std::holds_alternative<raincheck::store::Expire>(*command)) record_.push_back('E');
    }
    return PassingBackend::apply(batch);
  }

 private:
  std::string& record_;
};

}  // namespace

TEST_CASE("jobs start in the order of their submission, as many at once as there are slots") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s));
  proxy.start();
  Targets targets;
  for (int i = 0; i < 7; ++i) {
    proxy.unsafe(std::to_string(i));
    targets.push_back("/unsafe/" + std::to_string(i));
  }
  CHECK(proxy.calls() == 2);
  for (int i = 0; i < 4; ++i) proxy->advance(1s);
  CHECK(proxy.peer.targets == targets);
  CHECK(proxy.peer.most_running == 2);
  CHECK(proxy->dispatcher().queued() == 0);
}

TEST_CASE("a job of high priority goes before those that wait, and those are not forgotten") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.routes[0].async.priority = raincheck::config::Priority::high;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy.unsafe("first");
  proxy.unsafe("waits");
  proxy.safe("urgent");
  for (int i = 0; i < 2; ++i) proxy->advance(1s);
  CHECK(proxy.peer.targets == Targets{"/unsafe/first", "/safe/urgent", "/unsafe/waits"});
}

TEST_CASE("an upstream that refuses calls is held, and probed with single jobs ever more rarely") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::refuse));
  proxy.start();
  for (int i = 0; i < 5; ++i) proxy.unsafe(std::to_string(i));
  CHECK(proxy->dispatcher().held());
  CHECK(proxy->slots().held());
  const std::size_t before = proxy.calls();
  CHECK(before == 1);
  std::vector<int> intervals;
  for (int i = 0; i < 9; ++i) intervals.push_back(time_to_next_call(proxy));
  CHECK(intervals ==
        std::vector<int>{250, 500, 1'000, 2'000, 4'000, 8'000, 15'000, 15'000, 15'000});
  CHECK(proxy.peer.most_running == 1);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("an upstream that takes a probe is released, and all of its jobs go on") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::refuse));
  proxy.start();
  std::vector<JobId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(proxy.unsafe(std::to_string(i)));
  proxy->advance(1h);
  proxy.answer_with(an_answer(200));
  proxy->advance(15s);
  CHECK_FALSE(proxy->dispatcher().held());
  CHECK_FALSE(proxy->slots().held());
  for (const JobId& id : ids) {
    CHECK(proxy.state(id) == State::succeeded);
    CHECK(proxy->find(id).attempt == 1);
  }
}

TEST_CASE("a probe that is neither refused nor answered was taken") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::refuse));
  proxy.start();
  for (int i = 0; i < 3; ++i) proxy.unsafe(std::to_string(i));
  proxy.answer_with(hanging());
  proxy->advance(250ms);
  CHECK(proxy.peer.running == 1);
  CHECK(proxy->dispatcher().held());
  proxy->advance(10s);
  CHECK_FALSE(proxy->dispatcher().held());
  CHECK(proxy.peer.running == 2);
}

TEST_CASE("a hold that the backend asked for is as long as it said") {
  ProxyFixture proxy;
  proxy.answer_with(a_busy_answer(503, "40"));
  proxy.start();
  proxy.unsafe("a");
  proxy.answer_with(an_answer(200));
  const JobId id = proxy.unsafe("b");
  CHECK(proxy.state(id) == State::queued);
  CHECK(time_to_next_call(proxy) == 40'000);
  CHECK(proxy.state(id) == State::succeeded);
}

TEST_CASE(
    "a held upstream whose last job was canceled waits for the next one, and probes with it") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::refuse));
  proxy.start();
  proxy->cancel(proxy.unsafe("a"));
  proxy->advance(10s);
  CHECK(proxy->dispatcher().held());
  CHECK(proxy->dispatcher().queued() == 0);
  proxy.answer_with(an_answer(200));
  CHECK(proxy.state(proxy.unsafe("b")) == State::succeeded);
  CHECK_FALSE(proxy->dispatcher().held());
}

TEST_CASE("a held upstream waits for a retry that is due later without looking all the time") {
  ProxyFixture proxy;
  proxy.config.routes[0].retry.backoff = 1h;
  proxy.config.routes[0].retry.max_backoff = 1h;
  proxy.answer_with(a_fault(Kind::lost));
  proxy.start();
  proxy.safe("later");
  proxy.answer_with(a_fault(Kind::refuse));
  const JobId id = proxy.unsafe("a");
  proxy->cancel(id);
  for (int i = 0; i < 7200; ++i) proxy->advance(1s);
  CHECK(proxy.peer.executed["/safe/later"] == 1);
  CHECK(proxy.calls() > 2);
}

TEST_CASE("jobs whose time is over end while the upstream is held, without a call") {
  ProxyFixture proxy;
  proxy.config.routes[1].async.queue_timeout = 1min;
  proxy.answer_with(a_busy_answer(503, "3600"));
  proxy.start();
  proxy.safe("a");
  const JobId id = proxy.unsafe("b");
  for (int i = 0; i < 61; ++i) proxy->advance(1s);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy.calls() == 1);
  CHECK(proxy->dispatcher().held());
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("jobs whose time is over end while every slot is taken") {
  ProxyFixture proxy;
  proxy.config.routes[1].async.queue_timeout = 10s;
  proxy.answer_with(hanging());
  proxy.start();
  proxy.safe("a");
  proxy.safe("b");
  const JobId id = proxy.unsafe("c");
  for (int i = 0; i < 11; ++i) proxy->advance(1s);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy->slots().taken() == 2);
}

TEST_CASE("jobs whose time is over end behind others of their lane that may wait longer") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(hanging());
  proxy.start();
  proxy.safe("runs");
  const JobId patient = proxy.safe("patient");
  proxy->stop(0ms);
  proxy.config.routes[0].async.queue_timeout = 10s;
  proxy.start();
  std::vector<JobId> ids;
  for (int i = 0; i < 600; ++i) ids.push_back(proxy.safe(std::to_string(i)));
  for (int i = 0; i < 10; ++i) proxy->advance(1s);
  proxy->advance(500ms);
  for (const JobId& id : ids) REQUIRE(proxy.error(id) == ErrorType::expired);
  CHECK(proxy.state(patient) == State::queued);
  CHECK(proxy->pending() == 2);
  CHECK(proxy->dispatcher().queued() == 1);
}

TEST_CASE("while many jobs end whose time is over, others start") {
  ProxyFixture proxy;
  std::string record;
  proxy.wrap = [&record](std::unique_ptr<raincheck::store::Backend> backend) {
    return std::make_unique<RecordingBackend>(std::move(backend), record);
  };
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.routes[1].async.queue_timeout = 10s;
  proxy.answer_with(slow(11s));
  proxy.start();
  proxy.safe("first");
  for (int i = 0; i < 2'000; ++i) proxy.unsafe(std::to_string(i));
  proxy.safe("last");
  proxy->advance(9s);
  record.clear();
  proxy->advance(2s);
  // The slot comes free while there are still some to end.
  CHECK(record.find('C') < record.rfind('E'));
  CHECK(proxy->dispatcher().queued() == 0);
}

TEST_CASE("a job that was given back while its upstream is held ends when its time is over") {
  ProxyFixture proxy;
  proxy.config.routes[0].async.job_timeout = 1min;
  proxy.answer_with(a_busy_answer(503, "3600"));
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy->advance(59s);
  CHECK(proxy.state(id) == State::queued);
  proxy->advance(1s);
  proxy->advance(500ms);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy.calls() == 1);
}

TEST_CASE("a canceled job is not called, and its slot goes to the job of another lane") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.routes[0].async.priority = raincheck::config::Priority::high;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy.unsafe("first");
  const JobId canceled = proxy.safe("canceled");
  proxy.unsafe("second");
  CHECK(proxy->cancel(canceled).was == State::queued);
  proxy->advance(1s);
  CHECK(proxy.peer.targets == Targets{"/unsafe/first", "/unsafe/second"});
}

TEST_CASE("a retry that is due later keeps no slot from the jobs behind it") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.routes[0].retry.backoff = 1h;
  proxy.config.routes[0].retry.max_backoff = 1h;
  proxy.answer_with(a_fault(Kind::lost));
  proxy.start();
  const JobId later = proxy.safe("later");
  proxy.answer_with(an_answer(200));
  CHECK(proxy.state(proxy.unsafe("now")) == State::succeeded);
  CHECK(proxy.state(later) == State::queued);
}

TEST_CASE("a claim that the store did not take is tried again, and its slots are given back") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy.unsafe("first");
  const JobId id = proxy.unsafe("second");
  // The first one's result is taken, the claim of the second is not.
  proxy.clock.advance(1s);
  proxy->run_due();
  proxy->shard().poll();
  REQUIRE(proxy->commit());
  proxy.disk_full = true;
  proxy->run();
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy.state(id) == State::queued);
  proxy.disk_full = false;
  CHECK(time_to_next_call(proxy) <= 500);
}

TEST_CASE("what was running when a process ended is started by the next one without other news") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy.disk_full = true;  // so that its end cannot be recorded
  proxy->stop(0ms);
  CHECK(proxy.state(id) == State::running);
  proxy.disk_full = false;
  proxy.answer_with(an_answer(200));
  proxy.start();
  CHECK(proxy.state(id) == State::succeeded);
  CHECK(proxy->find(id).attempt == 2);
}

TEST_CASE("with on_abort drain a call of an earlier process keeps its slot and is not repeated") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.upstreams[0].on_abort = raincheck::config::OnAbort::drain;
  proxy.config.upstreams[0].abort_hold = 30s;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.safe("a");
  const JobId next = proxy.unsafe("b");
  proxy.disk_full = true;
  proxy->stop(0ms);
  proxy.disk_full = false;
  proxy.answer_with(an_answer(200));
  proxy.start();
  proxy->advance(29'999ms);
  CHECK(proxy.calls() == 1);
  proxy->advance(1s);
  CHECK(proxy.state(id) == State::succeeded);
  CHECK(proxy.state(next) == State::succeeded);
}

TEST_CASE("with on_abort drain a job of an earlier process ends when its own time is over") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].on_abort = raincheck::config::OnAbort::drain;
  proxy.config.upstreams[0].abort_hold = 30s;
  proxy.config.routes[0].async.job_timeout = 10s;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy.disk_full = true;
  proxy->stop(0ms);
  proxy.disk_full = false;
  proxy.start();
  CHECK(proxy.state(id) == State::queued);
  proxy->advance(10s);
  proxy->advance(500ms);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy.calls() == 1);
  CHECK(proxy->slots().taken() == 1);
}

TEST_CASE("a dispatcher that was stopped claims nothing any more") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s));
  proxy.start();
  std::vector<JobId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(proxy.unsafe(std::to_string(i)));
  proxy->stop(10s);
  CHECK(proxy.calls() == 2);
  CHECK(proxy.state(ids[0]) == State::succeeded);
  CHECK(proxy.state(ids[1]) == State::succeeded);
  CHECK(proxy.state(ids[2]) == State::queued);
}

TEST_CASE("a slot that another shard gives back wakes the dispatcher that wants it") {
  ProxyFixture proxy;
  proxy.shards = 2;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy.unsafe("a", 1);
  const JobId id = proxy.unsafe("b", 1);
  CHECK(proxy.state(id) == State::queued);
  proxy->advance(1s);
  CHECK(proxy.state(id) == State::running);
}

TEST_CASE("of a paused upstream no job begins, and one whose time is over ends") {
  ProxyFixture proxy;
  proxy.config.routes[1].async.queue_timeout = 10s;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy->slots().pause(true);
  const JobId waiting = proxy.safe("a");
  const JobId overdue = proxy.unsafe("b");
  for (int i = 0; i < 11; ++i) proxy->advance(1s);
  CHECK(proxy.calls() == 0);
  CHECK(proxy.state(waiting) == State::queued);
  CHECK(proxy.error(overdue) == ErrorType::expired);
  proxy->slots().pause(false);
  proxy->dispatcher().wake();
  proxy->advance(1s);
  proxy->advance(1s);
  CHECK(proxy.calls() == 1);
  CHECK(proxy.state(waiting) == State::succeeded);
}

TEST_CASE("the jobs of many routes are claimed in one commit, and looked after all the same") {
  constexpr int routes = 300;
  ProxyFixture proxy;
  std::string record;
  proxy.wrap = [&record](std::unique_ptr<raincheck::store::Backend> backend) {
    return std::make_unique<RecordingBackend>(std::move(backend), record);
  };
  proxy.config.upstreams[0].max_concurrency = 50;
  for (int i = 0; i < routes; ++i) {
    proxy.config.routes.push_back(a_route("r" + std::to_string(i), "POST", "legacy"));
    proxy.config.routes.back().async.queue_timeout = 10s;
  }
  proxy.answer_with(hanging());
  proxy.start();
  proxy->slots().pause(true);
  std::vector<JobId> ids;
  for (int i = 0; i < routes; ++i) {
    const std::string name = "r" + std::to_string(i);
    ids.push_back(proxy->submit(name, "POST", "/" + name + "/a").value());
  }
  record.clear();
  proxy->slots().pause(false);
  proxy->dispatcher().wake();
  proxy->run();
  CHECK(proxy.calls() == 50);
  CHECK(std::count(record.begin(), record.end(), 'C') == 1);
  for (int i = 0; i < 10; ++i) proxy->advance(1s);
  proxy->advance(500ms);
  int expired = 0;
  for (const JobId& id : ids) expired += proxy.error(id) == ErrorType::expired;
  CHECK(expired == routes - 50);
}
