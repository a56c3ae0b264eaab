#include "jobs/decide.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{milliseconds(1'772'000'000'000)};
constexpr milliseconds none{0};

enum class Then { succeed, fail, fail_with_response, retry, hold, again };

struct Row {
  std::string name;
  Outcome outcome;
  bool may_resend;
  Then then;
  ErrorType error = ErrorType::none;
};

Outcome answered(int status, std::optional<milliseconds> retry_after = std::nullopt) {
  return Outcome{std::nullopt, status, true, retry_after};
}

Outcome broken(Fault fault, bool sent) {
  return Outcome{fault, 0, sent, std::nullopt};
}

Attempt attempt(std::uint32_t number, bool may_resend) {
  return Attempt{number, may_resend, now, now + 24h, now + 24h, 7};
}

Then what(const Decision& decision) {
  if (decision.action == Decision::Action::requeue) {
    if (decision.hold_upstream) return Then::hold;
    return decision.counts ? Then::retry : Then::again;
  }
  if (decision.state == State::succeeded) return Then::succeed;
  return decision.keep_response ? Then::fail_with_response : Then::fail;
}

// What holds of every decision, whatever it is.
void check_sane(const Decision& decision, const Outcome& outcome, const Attempt& of) {
  if (decision.action == Decision::Action::requeue) {
    CHECK(decision.state == State::queued);
    CHECK(decision.error == ErrorType::none);
    CHECK_FALSE(decision.keep_response);
    CHECK(decision.due_at >= of.now);
    CHECK(decision.hold_for >= none);
    if (decision.hold_upstream) CHECK_FALSE(decision.counts);
    return;
  }
  CHECK(is_final(decision.state));
  CHECK((decision.state == State::succeeded) == (decision.error == ErrorType::none));
  CHECK(decision.keep_response ==
        (decision.state == State::succeeded || decision.error == ErrorType::upstream_status ||
         decision.error == ErrorType::upstream_rejected));
  if (decision.keep_response) CHECK_FALSE(outcome.fault);
  CHECK_FALSE(decision.hold_upstream);
}

template <std::size_t n>
void check(const Row (&rows)[n], const Rules& rules, std::uint32_t number = 1) {
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(number);
    const Attempt of = attempt(number, row.may_resend);
    const Decision decision = decide(row.outcome, of, rules);
    CHECK(what(decision) == row.then);
    CHECK(decision.error == row.error);
    check_sane(decision, row.outcome, of);
  }
}

constexpr Fault faults[] = {
    Fault::internal,           Fault::overloaded,       Fault::store_full,
    Fault::store_failed,       Fault::stopping,         Fault::upstream_unreachable,
    Fault::upstream_lost,      Fault::upstream_timeout, Fault::upstream_protocol_error,
    Fault::response_too_large, Fault::rewrite_failed,   Fault::client_gone,
};

}  // namespace

TEST_CASE("a first attempt is decided by what came of it and whether it may be sent again") {
  const Row rows[] = {
      {"200", answered(200), false, Then::succeed},
      {"304 at the end of the range", answered(399), false, Then::succeed},
      {"404", answered(404), true, Then::fail_with_response, ErrorType::upstream_status},
      {"500, not listed", answered(500), true, Then::fail_with_response,
       ErrorType::upstream_status},
      {"an unknown class", answered(999), true, Then::fail_with_response,
       ErrorType::upstream_status},
      {"502 resend", answered(502), true, Then::retry},
      {"503 resend", answered(503), true, Then::retry},
      {"504 resend", answered(504), true, Then::retry},
      {"502 with Retry-After, resend", answered(502, 5s), true, Then::retry},
      {"502", answered(502), false, Then::fail_with_response, ErrorType::upstream_status},
      {"502 with Retry-After", answered(502, 5s), false, Then::fail_with_response,
       ErrorType::upstream_status},
      {"503", answered(503), false, Then::fail_with_response, ErrorType::upstream_status},
      {"504", answered(504), false, Then::fail_with_response, ErrorType::upstream_status},
      {"429", answered(429), false, Then::hold},
      {"429 with Retry-After", answered(429, 5s), false, Then::hold},
      {"503 with Retry-After", answered(503, 5s), false, Then::hold},
      {"503 with Retry-After: 0", answered(503, 0s), false, Then::hold},
      {"503 with Retry-After, resend", answered(503, 5s), true, Then::hold},

      {"unreachable", broken(Fault::upstream_unreachable, false), false, Then::hold},
      {"unreachable, resend", broken(Fault::upstream_unreachable, false), true, Then::hold},
      {"lost before", broken(Fault::upstream_lost, false), false, Then::hold},
      {"lost before, resend", broken(Fault::upstream_lost, false), true, Then::hold},
      {"lost after", broken(Fault::upstream_lost, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"lost after, resend", broken(Fault::upstream_lost, true), true, Then::retry},
      {"timeout before", broken(Fault::upstream_timeout, false), false, Then::hold},
      {"timeout after", broken(Fault::upstream_timeout, true), false, Then::fail,
       ErrorType::upstream_timeout},
      {"timeout after, resend", broken(Fault::upstream_timeout, true), true, Then::fail,
       ErrorType::upstream_timeout},
      {"garbage", broken(Fault::upstream_protocol_error, true), false, Then::fail,
       ErrorType::upstream_protocol_error},
      {"garbage, resend", broken(Fault::upstream_protocol_error, true), true, Then::retry},
      {"refused by its rules", broken(Fault::rewrite_failed, true), false, Then::fail,
       ErrorType::rewrite_failed},
      {"refused by its rules, resend", broken(Fault::rewrite_failed, true), true, Then::retry},
      {"too large", broken(Fault::response_too_large, true), true, Then::fail,
       ErrorType::response_too_large},

      {"internal before", broken(Fault::internal, false), false, Then::again},
      {"internal after", broken(Fault::internal, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"internal after, resend", broken(Fault::internal, true), true, Then::again},
      {"overloaded before", broken(Fault::overloaded, false), false, Then::hold},
      {"overloaded after", broken(Fault::overloaded, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"store full after", broken(Fault::store_full, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"store failed after, resend", broken(Fault::store_failed, true), true, Then::again},
      {"stopping before", broken(Fault::stopping, false), false, Then::again},
      {"stopping after", broken(Fault::stopping, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"stopping after, resend", broken(Fault::stopping, true), true, Then::again},
      {"client gone after", broken(Fault::client_gone, true), false, Then::fail,
       ErrorType::outcome_unknown},
  };
  check(rows, Rules());
}

TEST_CASE("the last attempt ends what would be tried again, but not what was not executed") {
  const Row rows[] = {
      {"502 resend", answered(502), true, Then::fail_with_response, ErrorType::upstream_status},
      {"lost after, resend", broken(Fault::upstream_lost, true), true, Then::fail,
       ErrorType::upstream_unreachable},
      {"garbage, resend", broken(Fault::upstream_protocol_error, true), true, Then::fail,
       ErrorType::upstream_protocol_error},
      {"429", answered(429), false, Then::hold},
      {"503 with Retry-After", answered(503, 5s), false, Then::hold},
      {"unreachable", broken(Fault::upstream_unreachable, false), false, Then::hold},
      {"lost before", broken(Fault::upstream_lost, false), false, Then::hold},
      {"stopping before", broken(Fault::stopping, false), false, Then::again},
  };
  check(rows, Rules(), 3);
  check(rows, Rules(), 4);
}

TEST_CASE("max_attempts counts the first: with 1 nothing is retried, with 2 once") {
  Rules rules;
  rules.max_attempts = 1;
  CHECK(what(decide(answered(502), attempt(1, true), rules)) == Then::fail_with_response);
  rules.max_attempts = 2;
  CHECK(what(decide(answered(502), attempt(1, true), rules)) == Then::retry);
  CHECK(what(decide(answered(502), attempt(2, true), rules)) == Then::fail_with_response);
}

TEST_CASE("with an empty list of causes nothing is tried again") {
  Rules rules;
  rules.on_connect_failure = false;
  rules.on_status.clear();
  const Row rows[] = {
      {"429", answered(429, 5s), true, Then::fail_with_response, ErrorType::upstream_status},
      {"503 with Retry-After", answered(503, 5s), true, Then::fail_with_response,
       ErrorType::upstream_status},
      {"502", answered(502), true, Then::fail_with_response, ErrorType::upstream_status},
      {"unreachable", broken(Fault::upstream_unreachable, false), true, Then::fail,
       ErrorType::upstream_unreachable},
      {"lost before", broken(Fault::upstream_lost, false), true, Then::fail,
       ErrorType::upstream_unreachable},
      {"lost after", broken(Fault::upstream_lost, true), true, Then::fail,
       ErrorType::upstream_unreachable},
      {"lost after, never again", broken(Fault::upstream_lost, true), false, Then::fail,
       ErrorType::outcome_unknown},
      {"timeout before", broken(Fault::upstream_timeout, false), true, Then::fail,
       ErrorType::upstream_timeout},
      {"garbage", broken(Fault::upstream_protocol_error, true), true, Then::fail,
       ErrorType::upstream_protocol_error},
  };
  check(rows, rules);
}

TEST_CASE("a lost connection is tried again for connect_failure or for 502") {
  Rules rules;
  rules.on_status = {502};
  rules.on_connect_failure = false;
  CHECK(what(decide(broken(Fault::upstream_lost, true), attempt(1, true), rules)) == Then::retry);
  rules.on_status = {503};
  rules.on_connect_failure = true;
  CHECK(what(decide(broken(Fault::upstream_lost, true), attempt(1, true), rules)) == Then::retry);
}

TEST_CASE("a timeout is tried again only where the route says so and it is safe") {
  Rules rules;
  rules.on_timeout = true;
  const Row rows[] = {
      {"after, resend", broken(Fault::upstream_timeout, true), true, Then::retry},
      {"after", broken(Fault::upstream_timeout, true), false, Then::fail,
       ErrorType::upstream_timeout},
      {"before", broken(Fault::upstream_timeout, false), false, Then::hold},
  };
  check(rows, rules);
  rules.on_connect_failure = false;
  CHECK(what(decide(broken(Fault::upstream_timeout, false), attempt(1, false), rules)) ==
        Then::retry);
}

TEST_CASE("an answer that its body gives away is kept, and no success") {
  Rules rules;
  Outcome outcome = answered(200);
  outcome.rejected = true;
  const Decision decision = decide(outcome, attempt(1, true), rules);
  CHECK(what(decision) == Then::fail_with_response);
  CHECK(decision.error == ErrorType::upstream_rejected);
  // A status that is tried again is, whatever the body says.
  Outcome busy = answered(502);
  busy.rejected = true;
  CHECK(what(decide(busy, attempt(1, true), rules)) == Then::retry);
}

TEST_CASE("a success is what the route calls one, and a rejected answer is kept") {
  Rules rules;
  rules.success = {{200, 200}, {404, 404}, {502, 502}};
  const Row rows[] = {
      {"200", answered(200), false, Then::succeed},
      {"404", answered(404), false, Then::succeed},
      {"502, though listed for retries", answered(502), true, Then::succeed},
      {"201", answered(201), false, Then::fail_with_response, ErrorType::upstream_rejected},
      {"302", answered(302), true, Then::fail_with_response, ErrorType::upstream_rejected},
      {"399", answered(399), true, Then::fail_with_response, ErrorType::upstream_rejected},
      {"400", answered(400), true, Then::fail_with_response, ErrorType::upstream_status},
  };
  check(rows, rules);
  rules.on_status = {302};
  CHECK(what(decide(answered(302), attempt(1, true), rules)) == Then::retry);
  CHECK(decide(answered(302), attempt(3, true), rules).error == ErrorType::upstream_rejected);
}

TEST_CASE("what may have been executed is never sent again without leave, whatever the rules") {
  for (const Fault fault : faults) {
    for (int causes = 0; causes < 8; ++causes) {
      for (std::uint32_t number = 1; number < 5; ++number) {
        Rules rules;
        rules.on_connect_failure = causes & 1;
        rules.on_timeout = causes & 2;
        if (causes & 4) rules.on_status.clear();
        const Outcome outcome = broken(fault, true);
        const Attempt of = attempt(number, false);
        const Decision decision = decide(outcome, of, rules);
        CAPTURE(std::string(fault_name(fault)));
        // "Unreachable" means that nothing was sent, whatever the flag says.
        if (fault != Fault::upstream_unreachable) {
          CHECK(decision.action == Decision::Action::finish);
        }
        check_sane(decision, outcome, of);
      }
    }
  }
}

TEST_CASE("what may be sent again never ends with an unknown outcome") {
  for (const Fault fault : faults) {
    for (const bool sent : {false, true}) {
      for (std::uint32_t number = 1; number < 5; ++number) {
        CHECK(decide(broken(fault, sent), attempt(number, true), Rules()).error !=
              ErrorType::outcome_unknown);
      }
    }
  }
}

TEST_CASE("a busy upstream is held back for as long as it says, and no attempt is burnt") {
  Decision decision = decide(answered(429, 90s), attempt(1, false), Rules());
  CHECK(decision.hold_for == 90s);
  CHECK(decision.due_at == now + 90s);
  CHECK_FALSE(decision.counts);
  decision = decide(answered(429), attempt(1, false), Rules());
  CHECK(decision.hold_for == none);
  CHECK(decision.due_at == now);
  decision = decide(broken(Fault::upstream_unreachable, false), attempt(1, false), Rules());
  CHECK(decision.hold_for == none);
  CHECK(decision.due_at == now);
  CHECK_FALSE(decision.counts);
}

TEST_CASE("a hold goes on beyond the time limit: to expire a job is not decided here") {
  Attempt late = attempt(1, false);
  late.finish_by = now + 2s;
  CHECK(what(decide(answered(429, 90s), late, Rules())) == Then::hold);
  late.finish_by = now - 1s;
  CHECK(what(decide(broken(Fault::upstream_unreachable, false), late, Rules())) == Then::hold);
}

TEST_CASE("a held job comes due when its time is over at the latest") {
  Attempt first = attempt(1, false);
  first.start_by = now + 1s;
  first.finish_by = now + 2s;
  CHECK(decide(answered(429, 90s), first, Rules()).due_at == now + 1s);
  first.start_by = now + 3s;
  CHECK(decide(answered(429, 90s), first, Rules()).due_at == now + 2s);
  Attempt second = attempt(2, false);
  second.start_by = now - 1s;
  second.finish_by = now + 2s;
  CHECK(decide(answered(429, 90s), second, Rules()).due_at == now + 2s);
  CHECK(decide(answered(429, 1s), second, Rules()).due_at == now + 1s);
}

TEST_CASE("a retry that would be due too late is not made, and the answer at hand is kept") {
  Attempt late = attempt(1, true);
  late.finish_by = now;
  CHECK(what(decide(answered(502), late, Rules())) == Then::fail_with_response);
  late.finish_by = now + 30s;
  CHECK(what(decide(answered(502, 30s), late, Rules())) == Then::fail_with_response);
  const Decision lost = decide(Outcome{Fault::upstream_lost, 0, true, 30s}, late, Rules());
  CHECK(lost.error == ErrorType::upstream_unreachable);
  late.finish_by = now + 30001ms;
  CHECK(what(decide(answered(502, 30s), late, Rules())) == Then::retry);
}

TEST_CASE("backoff doubles up to its maximum, with full jitter, and is the same for the same job") {
  struct Limit {
    std::uint32_t number;
    milliseconds most;
  };
  const Limit limits[] = {{1, 1s},  {2, 2s},  {3, 4s},          {6, 32s},
                          {7, 60s}, {8, 60s}, {4000000000, 60s}};
  Rules rules;
  rules.max_attempts = 4294967295;
  for (const Limit& limit : limits) {
    CAPTURE(limit.number);
    milliseconds least = 24h;
    milliseconds most{0};
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
      Attempt of = attempt(limit.number, true);
      of.seed = seed;
      const Decision decision = decide(answered(502), of, rules);
      REQUIRE(what(decision) == Then::retry);
      CHECK(decision.due_at == decide(answered(502), of, rules).due_at);
      const milliseconds delay = decision.due_at - now;
      least = std::min(least, delay);
      most = std::max(most, delay);
      sum += static_cast<double>(delay.count());
    }
    CHECK(least < limit.most / 50);
    CHECK(most <= limit.most);
    CHECK(most > limit.most * 49 / 50);
    CHECK(sum / 2000 == doctest::Approx(static_cast<double>(limit.most.count()) / 2).epsilon(0.05));
  }
}

TEST_CASE("jobs that failed together do not come back together, nor in step") {
  std::set<milliseconds> delays;
  Rules rules;
  rules.backoff = 60s;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Attempt of = attempt(1, true);
    of.seed = seed;
    delays.insert(decide(answered(502), of, rules).due_at - now);
  }
  CHECK(delays.size() > 95);
}

TEST_CASE("a retry waits at least as long as the backend asked, and no time at all if so set") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Attempt of = attempt(1, true);
    of.seed = seed;
    CHECK(decide(answered(502, 5min), of, Rules()).due_at == now + 5min);
    CHECK(decide(answered(502, 500ms), of, Rules()).due_at >= now + 500ms);
    Rules at_once;
    at_once.backoff = none;
    CHECK(decide(answered(502), of, at_once).due_at == now);
    at_once.backoff = 1s;
    at_once.max_backoff = none;
    CHECK(decide(answered(502), of, at_once).due_at == now);
  }
}

TEST_CASE("a fault of ours is tried again after the backoff, a stop at once") {
  CHECK(decide(broken(Fault::store_full, false), attempt(1, false), Rules()).due_at == now + 1s);
  CHECK(decide(broken(Fault::stopping, false), attempt(1, false), Rules()).due_at == now);
}

TEST_CASE("a job found running after a crash goes again if it may, and the attempt counts") {
  const Decision again = decide_orphan(true, false, now);
  CHECK(what(again) == Then::retry);
  CHECK(again.due_at == now);
  const Decision unknown = decide_orphan(false, false, now);
  CHECK(what(unknown) == Then::fail);
  CHECK(unknown.error == ErrorType::outcome_unknown);
}

TEST_CASE("Retry-After is read as seconds or a date, and is never before now or after a day") {
  const WallTime sunday = std::chrono::sys_days(std::chrono::year(1994) / 11 / 6) + 8h + 49min;
  struct Retry {
    std::string_view value;
    std::optional<milliseconds> want;
  };
  const Retry rows[] = {
      {"0", 0s},
      {"120", 120s},
      {" 120\t", 120s},
      {"86400", 24h},
      {"86401", 24h},
      {"999999999999999999999999", 24h},
      {"Sun, 06 Nov 1994 08:49:37 GMT", 37s},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 37s},
      {"Sun Nov  6 08:49:37 1994", 37s},
      {" Sun, 06 Nov 1994 08:49:37 GMT ", 37s},
      {"Sun, 06 Nov 1994 08:48:00 GMT", 0s},
      {"Thu, 01 Jan 1900 00:00:00 GMT", 0s},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 24h},
      {"", std::nullopt},
      {"soon", std::nullopt},
      {"-1", std::nullopt},
      {"1.5", std::nullopt},
      {"10, 20", std::nullopt},
      {"1994-11-06", std::nullopt},
  };
  for (const Retry& row : rows) {
    CAPTURE(row.value);
    CHECK(parse_retry_after(row.value, sunday) == row.want);
  }
}
