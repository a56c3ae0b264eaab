#include <doctest/doctest.h>

#include "jobs/decide.hpp"

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{milliseconds(1'772'000'000'000)};

Outcome answered(int status, std::optional<milliseconds> retry_after = std::nullopt) {
  return Outcome{std::nullopt, status, true, retry_after};
}

Outcome broken(Fault fault, bool sent) {
  return Outcome{fault, 0, sent, std::nullopt};
}

Attempt attempt(std::uint32_t number, bool may_resend) {
  return Attempt{number, may_resend, now, now + 24h, now + 24h, 7};
}

Attempt followed(std::uint32_t number = 1) {
  Attempt of = attempt(number, false);
  of.followed = true;
  return of;
}

}  // namespace

TEST_CASE("a backend that goes on with a call is asked until its answer is one") {
  struct Question {
    Outcome outcome;
    bool holds;
  };
  const Question again[] = {
      {broken(Fault::upstream_unreachable, false), true},
      {broken(Fault::overloaded, false), true},
      {broken(Fault::upstream_lost, true), false},
      {broken(Fault::upstream_timeout, true), false},
      {broken(Fault::upstream_protocol_error, true), false},
      {broken(Fault::internal, false), false},
      {broken(Fault::store_full, true), false},
      {answered(429, 7s), true},
      {answered(503, 7s), true},
      {answered(503), false},
      {answered(502), false},
      {answered(504), false},
  };
  for (const Question& question : again) {
    CAPTURE(question.outcome.status);
    // However often, and whatever `retry` allows.
    for (const std::uint32_t number : {1u, 3u, 1000u}) {
      const Decision decision = decide(question.outcome, followed(number), Rules());
      CHECK(decision.action == Decision::Action::ask);
      CHECK(decision.hold_upstream == question.holds);
      CHECK(decision.hold_for == question.outcome.retry_after.value_or(0ms));
    }
  }
  for (const int status : {200, 404, 410, 500}) {
    const Decision decision = decide(answered(status), followed(), Rules());
    CHECK(decision.action == Decision::Action::finish);
    CHECK(decision.keep_response);
    CHECK(decision.state == (status == 200 ? State::succeeded : State::failed));
  }
}

TEST_CASE("a call that a backend goes on with ends when its time is over, and never unknown") {
  Attempt late = followed();
  late.finish_by = now;
  CHECK(decide(broken(Fault::upstream_timeout, true), late, Rules()).error == ErrorType::expired);
  CHECK(decide(answered(503), late, Rules()).error == ErrorType::expired);
  CHECK(decide(answered(200), late, Rules()).state == State::succeeded);
  const Decision left = decide(broken(Fault::stopping, true), followed(), Rules());
  CHECK(left.action == Decision::Action::requeue);
  CHECK(left.counts);
  CHECK(left.due_at == now);
  CHECK(decide(broken(Fault::response_too_large, true), followed(), Rules()).error ==
        ErrorType::response_too_large);
  CHECK(decide_orphan(false, true, now).action == Decision::Action::requeue);
}

TEST_CASE("a backend that says to ask elsewhere ends the job, even a call that may be sent again") {
  Outcome astray = broken(Fault::upstream_protocol_error, true);
  astray.astray = true;
  for (const Attempt& of : {attempt(1, true), attempt(1, false), followed()}) {
    const Decision decision = decide(astray, of, Rules());
    CHECK(decision.state == State::failed);
    CHECK_FALSE(decision.keep_response);
    CHECK(decision.error == ErrorType::upstream_protocol_error);
  }
}
