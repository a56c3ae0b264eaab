#include "proxy/followed_call.hpp"

#include <doctest/doctest.h>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
using raincheck::jobs::ErrorType;
using raincheck::jobs::Job;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using Kind = Script::Kind;
using Targets = std::vector<std::string>;

namespace {

Script accepted(const std::string& fields = "Location: /operations/1\r\n") {
  Script script = an_answer(202, "wait");
  script.fields = fields;
  return script;
}

Script status(const std::string& word) {
  Script script = an_answer(200, "{\"status\":\"" + word + "\"}");
  script.fields = "Content-Type: application/json\r\n";
  return script;
}

// A backend that answers calls with 202, and what asks for them as the test says.
class Following : public ProxyFixture {
 public:
  Following() {
    for (auto& route : config.routes) route.async.follow.enabled = true;
    peer.script = [this](const ScriptedCall& call) {
      if (call.target.starts_with("/safe/") || call.target.starts_with("/unsafe/")) return first;
      return call.target.starts_with("/reports/") ? last : poll;
    };
    answer_polls(an_answer(202));
  }

  void answer_polls(const Script& script) { poll = script; }
  int sent(const std::string& target) { return peer.executed[target]; }

  Script first = accepted();
  Script poll;
  Script last = an_answer(200, "the report");
};

}  // namespace

TEST_CASE("a call that the backend goes on with is asked for until the result is there") {
  Following proxy;
  proxy.answer_polls(accepted());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy.state(id) == State::running);
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/1 ");
  CHECK(proxy->slots().taken() == 1);
  CHECK(proxy.peer.running == 0);
  proxy->advance(4'999ms);
  CHECK(proxy.calls() == 1);
  proxy->advance(1ms);
  CHECK(proxy.calls() == 2);
  proxy->advance(9'999ms);
  CHECK(proxy.calls() == 2);
  proxy.answer_polls(an_answer(201, "the report"));
  proxy->advance(1ms);
  const Job job = proxy->find(id);
  CHECK(job.state == State::succeeded);
  CHECK(job.attempt == 1);
  CHECK(job.response.status == 201);
  CHECK(job.response.body.bytes == "the report");
  CHECK(proxy.peer.targets == Targets{"/unsafe/a", "/operations/1", "/operations/1"});
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("without the setting a 202 is the result, and so is one that says nothing of where") {
  Following proxy;
  proxy.first = accepted("");
  proxy.start();
  CHECK(proxy->find(proxy.unsafe("a")).response.status == 202);
  proxy.first = accepted();
  proxy.config.routes[1].async.follow.enabled = false;
  proxy.start();
  CHECK(proxy->find(proxy.unsafe("b")).response.status == 202);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("Retry-After of each answer says when to ask again, within the bounds") {
  Following proxy;
  proxy.first.retry_after = "20";
  proxy.start();
  proxy.unsafe("a");
  proxy->advance(19'999ms);
  CHECK(proxy.calls() == 1);
  proxy.poll.retry_after = "1";
  proxy->advance(1ms);
  CHECK(proxy.calls() == 2);
  proxy->advance(4'999ms);
  CHECK(proxy.calls() == 2);
  proxy.poll.retry_after = "600";
  proxy->advance(1ms);
  CHECK(proxy.calls() == 3);
  proxy->advance(59'999ms);
  CHECK(proxy.calls() == 3);
  proxy->advance(1ms);
  CHECK(proxy.calls() == 4);
}

TEST_CASE("a redirect from the monitor leads to the result, at once") {
  for (const int redirect : {302, 303}) {
    Following proxy;
    proxy.poll = an_answer(redirect, "over there");
    proxy.poll.fields = "Location: http://127.0.0.1/reports/1\r\n";
    proxy.start();
    const JobId id = proxy.unsafe("a");
    proxy->advance(5s);
    CHECK(proxy->find(id).response.body.bytes == "the report");
    CHECK(proxy.calls() == 3);
  }
}

TEST_CASE("redirects on the way to the result are followed, up to five of them") {
  for (const int redirects : {1, 5, 6}) {
    Following proxy;
    proxy.peer.script = [redirects](const ScriptedCall& call) {
      if (call.target == "/unsafe/a") return accepted();
      const int at = call.target == "/operations/1" ? 0 : std::stoi(call.target.substr(1));
      if (at > redirects) return an_answer(200, "the report");
      Script script = an_answer(302, "over there");
      script.fields = "Location: /" + std::to_string(at + 1) + "\r\n";
      return script;
    };
    proxy.start();
    const JobId id = proxy.unsafe("a");
    proxy->advance(5s);
    if (redirects <= 5) {
      CHECK(proxy->find(id).response.body.bytes == "the report");
    } else {
      CHECK(proxy.error(id) == ErrorType::upstream_protocol_error);
    }
    CHECK(proxy.calls() == (redirects == 1 ? 4 : 8));
  }
}

TEST_CASE("a status document says that it goes on, that it is done and where the result is") {
  Following proxy;
  proxy.first = accepted("Operation-Location: /operations/1\r\nLocation: /reports/1\r\n");
  proxy.answer_polls(status("NotStarted"));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/1 /reports/1");
  proxy->advance(5s);
  CHECK(proxy.state(id) == State::running);
  proxy.answer_polls(status("Succeeded"));
  proxy->advance(10s);
  CHECK(proxy->find(id).response.body.bytes == "the report");
  CHECK(proxy.peer.targets.back() == "/reports/1");
}

TEST_CASE("of a PUT the result is at its own URL, if the backend names no other") {
  Following proxy;
  proxy.first = accepted("Azure-AsyncOperation: /operations/1\r\n");
  proxy.answer_polls(status("Succeeded"));
  proxy.start();
  const JobId id = proxy.safe("a");
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/1 /safe/a");
  proxy.first = an_answer(200, "the thing");
  proxy->advance(5s);
  CHECK(proxy->find(id).response.body.bytes == "the thing");
}

TEST_CASE("a status document that says it came to nothing fails the job, and is kept") {
  Following proxy;
  proxy.answer_polls(status("Failed"));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(5s);
  const Job job = proxy->find(id);
  CHECK(job.error == ErrorType::upstream_rejected);
  CHECK(job.response.body.bytes == "{\"status\":\"Failed\"}");
}

TEST_CASE("a status document that has grown too large to be read fails the job, and is kept") {
  Following proxy;
  proxy.answer_polls(status("Running"));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(5s);
  Script large = status("Running");
  large.body = "{\"log\":\"" + std::string(70'000, 'x') + "\",\"status\":\"Running\"}";
  proxy.answer_polls(large);
  proxy->advance(10s);
  CHECK(proxy.error(id) == ErrorType::upstream_rejected);
  CHECK(proxy->find(id).response.body.size == large.body.size());
}

TEST_CASE("a monitor that is gone fails the job with what the backend says, also after a crash") {
  for (const int gone : {404, 410}) {
    Following proxy;
    proxy.start();
    const JobId id = proxy.unsafe("a");
    proxy.start();
    proxy.answer_polls(an_answer(gone, "no such operation"));
    proxy->advance(10s);
    const Job job = proxy->find(id);
    CHECK(job.error == ErrorType::upstream_status);
    CHECK(job.response.status == gone);
    CHECK(proxy.sent("/unsafe/a") == 1);
  }
}

TEST_CASE("a URL that is not the upstream's is not asked, and fails the job") {
  for (const bool safe : {true, false}) {
    Following proxy;
    proxy.first = accepted("Location: http://169.254.169.254/latest\r\n");
    proxy.start();
    const JobId id = safe ? proxy.safe("a") : proxy.unsafe("a");
    proxy->advance(1h);
    CHECK(proxy.error(id) == ErrorType::upstream_protocol_error);
    CHECK(proxy.calls() == 1);
  }
  Following proxy;
  proxy.poll = an_answer(303);
  proxy.poll.fields = "Location: http://169.254.169.254/latest\r\n";
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(5s);
  CHECK(proxy.error(id) == ErrorType::upstream_protocol_error);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("questions that fail are asked again, and the call is never sent again") {
  const Script failing[] = {a_fault(Kind::refuse),
                            a_fault(Kind::lost),
                            a_fault(Kind::garbage),
                            a_fault(Kind::truncated),
                            an_answer(503),
                            a_busy_answer(429, "9"),
                            hanging()};
  for (const Script& script : failing) {
    Following proxy;
    proxy.config.routes[1].async.resend = raincheck::config::Resend::always;
    proxy.answer_polls(script);
    proxy.start();
    const JobId id = proxy.unsafe("a");
    for (int i = 0; i < 20; ++i) proxy->advance(1min);
    CHECK(proxy.state(id) == State::running);
    CHECK(proxy.calls() > 8);
    proxy.answer_polls(an_answer(200, "the report"));
    proxy->advance(2min);
    CHECK(proxy->find(id).response.body.bytes == "the report");
    CHECK(proxy.sent("/unsafe/a") == 1);
  }
}

TEST_CASE("a question that is refused holds the upstream back, and one that is answered frees it") {
  Following proxy;
  proxy.start();
  proxy.unsafe("a");
  proxy.answer_polls(a_fault(Kind::refuse));
  proxy->advance(5s);
  CHECK(proxy->slots().held());
  proxy.answer_polls(an_answer(200));
  for (int i = 0; i < 60; ++i) proxy->advance(1s);
  proxy.unsafe("b");
  CHECK(proxy.sent("/unsafe/b") == 1);
}

TEST_CASE("a backend that is never done is asked until job_timeout is over") {
  Following proxy;
  proxy.config.routes[1].async.job_timeout = 2min;
  proxy.start();
  const JobId id = proxy.unsafe("a");
  for (int i = 0; i < 119; ++i) proxy->advance(1s);
  CHECK(proxy.state(id) == State::running);
  proxy->advance(1s);
  CHECK(proxy.error(id) == ErrorType::expired);
  CHECK(proxy->slots().taken() == 0);
  const std::size_t calls = proxy.calls();
  proxy->advance(1h);
  CHECK(proxy.calls() == calls);
}

TEST_CASE("a cancel ends the questions, between them and during one") {
  for (const bool during : {true, false}) {
    Following proxy;
    proxy.answer_polls(hanging());
    proxy.start();
    const JobId id = proxy.unsafe("a");
    if (during) proxy->advance(5s);
    CHECK(proxy->cancel(id).was == State::running);
    CHECK(proxy.peer.running == 0);
    CHECK(proxy->slots().taken() == 0);
    CHECK(proxy->shard().running() == 0);
    proxy->advance(1h);
    CHECK(proxy.state(id) == State::canceled);
    CHECK(proxy.calls() == (during ? 2 : 1));
  }
}

TEST_CASE("a stop leaves the job as it is, at once, and the next process asks on") {
  Following proxy;
  proxy.config.routes[1].async.queue_timeout = 1s;
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->shard().drain();
  proxy->run();
  CHECK(proxy->shard().running() == 0);
  CHECK(proxy.state(id) == State::running);
  proxy->stop(0ms);
  proxy.answer_polls(an_answer(200, "the report"));
  proxy.start();
  proxy->advance(2s);
  CHECK(proxy->find(id).response.body.bytes == "the report");
  CHECK(proxy.peer.targets == Targets{"/unsafe/a", "/operations/1"});
}

TEST_CASE("a call that is answered while the process stops is left to the next one too") {
  Following proxy;
  proxy.first = slow(10s, accepted());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->shard().drain();
  proxy->advance(10s);
  CHECK(proxy.state(id) == State::running);
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/1 ");
  proxy.answer_polls(an_answer(200, "the report"));
  proxy.start();
  CHECK(proxy->find(id).response.body.bytes == "the report");
  CHECK(proxy.sent("/unsafe/a") == 1);
}

TEST_CASE("a followed call has its slot before all that waits, after a crash and after a stop") {
  for (const bool crash : {true, false}) {
    Following proxy;
    proxy.config.upstreams[0].max_concurrency = 1;
    proxy.config.routes[1].async.priority = raincheck::config::Priority::low;
    proxy.config.routes[0].async.priority = raincheck::config::Priority::high;
    proxy.start();
    const JobId id = proxy.unsafe("a");
    const JobId waiting = proxy.safe("b");
    proxy.unsafe("c");
    if (!crash) {
      proxy->shard().drain();
      proxy->run();
      proxy->stop(0ms);
    }
    for (int i = 0; i < 3; ++i) {
      proxy.start();
      proxy->advance(10s);
      CHECK(proxy.state(id) == State::running);
      CHECK(proxy.state(waiting) == State::queued);
      CHECK(proxy->slots().taken() == 1);
      CHECK(proxy->pending() == 3);
    }
    CHECK(proxy.sent("/safe/b") + proxy.sent("/unsafe/c") == 0);
    proxy.answer_polls(an_answer(200, "the report"));
    for (int i = 0; i < 5; ++i) proxy->advance(20s);
    CHECK(proxy->find(id).response.body.bytes == "the report");
    CHECK(proxy->slots().taken() == 0);
    CHECK(proxy->pending() == 0);
    CHECK(proxy.sent("/unsafe/a") == 1);
    CHECK(proxy.sent("/safe/b") == 1);
  }
}

TEST_CASE("more followed calls than there are slots now are all asked for, and nothing is sent") {
  Following proxy;
  proxy.start();
  proxy.unsafe("a");
  proxy.unsafe("b");
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.start();
  proxy.unsafe("c");
  CHECK(proxy->slots().taken() == 2);
  CHECK(proxy.sent("/unsafe/c") == 0);
  proxy.answer_polls(an_answer(200, "the report"));
  for (int i = 0; i < 5; ++i) proxy->advance(20s);
  CHECK(proxy->slots().taken() == 0);
  CHECK(proxy->pending() == 0);
}

TEST_CASE("what a full disk does not take is not asked for until it does") {
  Following proxy;
  proxy.first = slow(1s, accepted());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy.disk_full = true;
  for (int i = 0; i < 100; ++i) proxy->advance(1s);
  CHECK(proxy.calls() == 1);
  CHECK(proxy.state(id) == State::running);
  proxy.disk_full = false;
  proxy->advance(250ms);
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/1 ");
  proxy->advance(5s);
  CHECK(proxy.calls() == 2);
}

TEST_CASE("a stop before it could be recorded where to ask leaves the outcome unknown") {
  Following proxy;
  proxy.first = slow(1s, accepted());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy.disk_full = true;
  proxy->advance(1s);
  proxy->stop(0ms);
  proxy.disk_full = false;
  proxy.start();
  CHECK(proxy.error(id) == ErrorType::outcome_unknown);
  proxy->advance(1h);
  CHECK(proxy.calls() == 1);
}

TEST_CASE("a backend that says to ask elsewhere is asked there from then on") {
  Following proxy;
  proxy.poll.fields = "Location: 2\r\n";
  proxy.start();
  const JobId id = proxy.unsafe("a");
  proxy->advance(5s);
  CHECK(proxy->find(id).monitor == "127.0.0.1 /operations/2 ");
  proxy->advance(10s);
  CHECK(proxy.peer.targets.back() == "/operations/2");
}
