#include "proxy/runner.hpp"

#include <doctest/doctest.h>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
using raincheck::config::OnAbort;
using raincheck::jobs::ErrorType;
using raincheck::jobs::Job;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using Kind = Script::Kind;

TEST_CASE("an answer ends the job with exactly what the backend said") {
  ProxyFixture proxy;
  proxy.answer_with(an_answer(201, "the report"));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  const Job job = proxy->find(id);
  CHECK(job.state == State::succeeded);
  CHECK(job.response.status == 201);
  CHECK(job.response.head == "X-Target: /unsafe/a\r\n");
  CHECK(job.response.body.bytes == "the report");
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("a large answer goes through the spool and ends the job when it is synced") {
  ProxyFixture proxy;
  proxy.config.store.inline_max = 8;
  proxy.answer_with(an_answer(200, std::string(1'000, 'x')));
  proxy.start();
  const Job job = proxy->find(proxy.unsafe("a"));
  CHECK(job.state == State::succeeded);
  CHECK(job.response.body.bytes.empty());
  CHECK(job.response.body.spool != 0);
  CHECK(job.response.body.size == 1'000);
}

TEST_CASE("an answer of 400 or more fails the job and is kept") {
  ProxyFixture proxy;
  proxy.answer_with(an_answer(404, "no such report"));
  proxy.start();
  const Job job = proxy->find(proxy.safe("a"));
  CHECK(job.state == State::failed);
  CHECK(job.error == ErrorType::upstream_status);
  CHECK(job.response.body.bytes == "no such report");
}

TEST_CASE("a refused connection queues the job again and burns no attempt") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::refuse));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  for (int i = 0; i < 600; ++i) proxy->advance(1s);
  CHECK(proxy.state(id) == State::queued);
  CHECK(proxy->find(id).attempt == 0);
  CHECK(proxy.calls() > 10);
  proxy.answer_with(an_answer(200));
  proxy->advance(15s);
  CHECK(proxy.state(id) == State::succeeded);
  CHECK(proxy->find(id).attempt == 1);
}

TEST_CASE("an unsafe call that was lost ends outcome_unknown and is not sent again") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::lost_unread));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy.error(id) == ErrorType::outcome_unknown);
  proxy->advance(24h);
  CHECK(proxy.calls() == 1);
}

TEST_CASE("an unsafe call of which nothing was sent is sent again") {
  ProxyFixture proxy;
  proxy.answer_with(a_fault(Kind::lost_unsent));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy.state(id) == State::queued);
  proxy.answer_with(an_answer(200));
  proxy->advance(1s);
  CHECK(proxy.state(id) == State::succeeded);
}

TEST_CASE("a safe call that was lost is retried when its backoff is over, and not before") {
  ProxyFixture proxy;
  proxy.config.routes[0].retry.backoff = 1h;
  proxy.config.routes[0].retry.max_backoff = 1h;
  proxy.answer_with(a_fault(Kind::lost));
  proxy.start();
  const JobId id = proxy.safe("a");
  const Job waiting = proxy->find(id);
  REQUIRE(waiting.state == State::queued);
  CHECK(waiting.attempt == 1);
  const auto wait = waiting.due_at - proxy.clock.wall_now();
  REQUIRE(wait > 1ms);
  proxy.answer_with(an_answer(200));
  proxy->advance(wait - 1ms);
  CHECK(proxy.calls() == 1);
  proxy->advance(1ms);
  CHECK(proxy.calls() == 2);
  CHECK(proxy.state(id) == State::succeeded);
}

TEST_CASE("a safe call is sent as often as the route says, and its last answer is kept") {
  ProxyFixture proxy;
  proxy.config.routes[0].retry.max_attempts = 4;
  proxy.answer_with(an_answer(502, "bad gateway"));
  proxy.start();
  const JobId id = proxy.safe("a");
  for (int i = 0; i < 60; ++i) proxy->advance(1s);
  CHECK(proxy.calls() == 4);
  CHECK(proxy->find(id).attempt == 4);
  CHECK(proxy.error(id) == ErrorType::upstream_status);
  CHECK(proxy->find(id).response.body.bytes == "bad gateway");
}

TEST_CASE("a plain 503 of an unsafe call may have been executed and is its result") {
  ProxyFixture proxy;
  proxy.answer_with(an_answer(503));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy.error(id) == ErrorType::upstream_status);
  CHECK(proxy.calls() == 1);
}

TEST_CASE("a backend that asks for time with Retry-After gets it, and burns no attempt") {
  for (const int status : {429, 503}) {
    ProxyFixture proxy;
    proxy.answer_with(a_busy_answer(status, "30"));
    proxy.start();
    const JobId id = proxy.unsafe("a");
    CHECK(proxy.state(id) == State::queued);
    proxy.answer_with(an_answer(200));
    proxy->advance(29'999ms);
    CHECK(proxy.calls() == 1);
    proxy->advance(1ms);
    CHECK(proxy.state(id) == State::succeeded);
    CHECK(proxy->find(id).attempt == 1);
  }
}

TEST_CASE("an answer that is no HTTP, cut short or too large is never a result") {
  const std::pair<Kind, ErrorType> cases[] = {
      {Kind::garbage, ErrorType::upstream_protocol_error},
      {Kind::truncated, ErrorType::upstream_protocol_error},
      {Kind::too_large, ErrorType::response_too_large},
  };
  for (const auto& [kind, error] : cases) {
    ProxyFixture proxy;
    proxy.config.store.inline_max = 1;
    proxy.answer_with(a_fault(kind));
    proxy.start();
    const JobId id = proxy.unsafe("a");
    const Job job = proxy->find(id);
    CHECK(job.error == error);
    CHECK(job.response.status == 0);
    CHECK(job.response.body.size == 0);
    CHECK_FALSE(proxy->store().spool().has_files());
  }
}

TEST_CASE("an attempt ends when its time is over, and its slot is free at once") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(59'999ms);
  CHECK(proxy.state(id) == State::running);
  CHECK(proxy->slots().taken() == 1);
  proxy->advance(1ms);
  CHECK(proxy.error(id) == ErrorType::upstream_timeout);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("an attempt ends with its job's own time when that is shorter") {
  ProxyFixture proxy;
  proxy.config.routes[1].async.job_timeout = 10s;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(10s);
  CHECK(proxy.error(id) == ErrorType::expired);
}

TEST_CASE("a job that waited longer than its queue_timeout ends without a call") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.routes[1].async.queue_timeout = 30s;
  proxy.answer_with(hanging());
  proxy.start();
  proxy.safe("in the way");
  const JobId id = proxy.unsafe("a");
  const JobId canceled = proxy.unsafe("b");
  proxy->cancel(canceled);
  proxy->advance(1min);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy.calls() == 1);
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("a job whose route is no more ends without a call") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(hanging());
  proxy.start();
  proxy.safe("in the way");
  const JobId id = proxy.unsafe("a");
  proxy.config.routes.pop_back();
  proxy.answer_with(an_answer(200));
  proxy.start();
  proxy->advance(1min);
  CHECK(proxy.error(id) == ErrorType::route_removed);
  CHECK(proxy.peer.executed.count("/unsafe/a") == 0);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("a cancel aborts the running call, drops its answer and frees its slot") {
  ProxyFixture proxy;
  proxy.answer_with(slow(10s));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy->cancel(id).was == State::running);
  CHECK(proxy.peer.running == 0);
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->shard().running() == 0);
  proxy->advance(1min);
  CHECK(proxy.state(id) == State::canceled);
  CHECK(proxy->find(id).response.status == 0);
  CHECK(proxy.calls() == 1);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("an answer that comes in the same moment as a cancel changes nothing") {
  ProxyFixture proxy;
  proxy.answer_with(slow(10s));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  // The cancel is on its way to the store when the answer comes.
  proxy.clock.advance(10s);
  CHECK(proxy->cancel(id).was == State::running);
  CHECK(proxy.state(id) == State::canceled);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("with on_abort drain a canceled call keeps its slot until the backend has ended") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.config.upstreams[0].on_abort = OnAbort::drain;
  proxy.answer_with(slow(30s));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy.safe("b");
  proxy->cancel(id);
  proxy->advance(29'999ms);
  CHECK(proxy->slots().taken() == 1);
  CHECK(proxy.calls() == 1);
  proxy->advance(1ms);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("with on_abort drain a slot is kept no longer than abort_hold") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].on_abort = OnAbort::drain;
  proxy.config.upstreams[0].abort_hold = 20s;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(1min);
  CHECK(proxy.error(id) == ErrorType::upstream_timeout);
  CHECK(proxy->slots().taken() == 1);
  proxy->advance(19'999ms);
  CHECK(proxy->slots().taken() == 1);
  proxy->advance(1ms);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("with on_abort drain a retry waits until the backend has ended the first call") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].on_abort = OnAbort::drain;
  proxy.config.routes[0].retry.on_timeout = true;
  proxy.answer_with(slow(90s));
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy->advance(1min);
  proxy->advance(29'999ms);
  CHECK(proxy.calls() == 1);
  CHECK(proxy.state(id) == State::running);
  proxy->advance(1ms);
  for (int i = 0; i < 10; ++i) proxy->advance(1s);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("a cancel while the backend still works on a call that was given up frees no slot") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].on_abort = OnAbort::drain;
  proxy.config.routes[0].retry.on_timeout = true;
  proxy.answer_with(slow(90s));
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy->advance(1min);
  CHECK(proxy->cancel(id).was == State::running);
  CHECK(proxy->slots().taken() == 1);
  proxy->advance(30s);
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy.state(id) == State::canceled);
}

TEST_CASE("a result that a full disk does not take is held, with its slot, until it does") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s, an_answer(200, "precious")));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy.disk_full = true;
  for (int i = 0; i < 100; ++i) proxy->advance(100ms);
  CHECK(proxy.state(id) == State::running);
  CHECK(proxy->slots().taken() == 1);
  proxy.disk_full = false;
  proxy->advance(250ms);
  CHECK(proxy->find(id).response.body.bytes == "precious");
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy.calls() == 1);
}

TEST_CASE("stopping gives up what runs: queued again where allowed, outcome_unknown where not") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId again = proxy.safe("a");
  const JobId once = proxy.unsafe("b");
  proxy->stop(0ms);
  CHECK(proxy.state(again) == State::queued);
  CHECK(proxy.error(once) == ErrorType::outcome_unknown);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("stopping ends with a full disk too, and leaves the job to the next process") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s));
  proxy.start();
  const JobId id = proxy.safe("a");
  proxy.disk_full = true;
  proxy->advance(1s);
  proxy->stop(0ms);
  CHECK(proxy.state(id) == State::running);
  proxy.disk_full = false;
  proxy.answer_with(an_answer(200));
  proxy.start();
  CHECK(proxy->recovered().requeued == 1);
  CHECK(proxy.state(id) == State::succeeded);
}

TEST_CASE("runners on two shards never have more calls in flight than there are slots") {
  ProxyFixture proxy;
  proxy.shards = 2;
  proxy.answer_with(slow(1s));
  proxy.start();
  for (std::size_t i = 0; i < 20; ++i) {
    proxy.unsafe(std::to_string(i), i % 2);
    CHECK(proxy->slots().taken() <= 2);
  }
  for (int i = 0; i < 20; ++i) proxy->advance(1s);
  CHECK(proxy.calls() == 20);
  CHECK(proxy.peer.most_running == 2);
  CHECK(proxy->slots().taken() == 0);
}

TEST_CASE("a cancel on another shard aborts the call where it runs") {
  ProxyFixture proxy;
  proxy.shards = 2;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a", 1);
  CHECK(proxy->shard(1).running() == 1);
  proxy->cancel(id, 0);
  CHECK(proxy->shard(1).running() == 0);
  CHECK(proxy->slots().taken() == 0);
}
