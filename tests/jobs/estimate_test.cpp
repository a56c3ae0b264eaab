#include "jobs/estimate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{milliseconds(1'772'000'000'000)};

static_assert(sizeof(Durations) <= 1024);

Durations all(milliseconds duration, int count = 50) {
  Durations durations;
  for (int i = 0; i < count; ++i) durations.add(duration);
  return durations;
}

double as_double(milliseconds duration) {
  return static_cast<double>(duration.count());
}

Progress queued(std::uint64_t ahead, std::uint32_t concurrency, milliseconds age = 0ms) {
  Progress progress;
  progress.age = age;
  progress.ahead = ahead;
  progress.concurrency = concurrency;
  progress.now = now;
  return progress;
}

Progress running(milliseconds running_for) {
  Progress progress;
  progress.state = State::running;
  progress.age = running_for;
  progress.running_for = running_for;
  progress.now = now;
  return progress;
}

milliseconds again(const Durations& wait, const Durations& run, const Progress& progress) {
  return estimate(wait, run, progress, 1s, 60s).retry_after;
}

}  // namespace

TEST_CASE("without durations there are no quantiles") {
  const Durations durations;
  CHECK(durations.empty());
  CHECK_FALSE(durations.mean());
  CHECK_FALSE(durations.quantile(0.5));
  CHECK_FALSE(durations.remaining(0ms));
}

TEST_CASE("a quantile is right within an eighth, from a millisecond to a day") {
  for (const milliseconds duration : std::initializer_list<milliseconds>{
           1ms, 2ms, 3ms, 7ms, 8ms, 100ms, 999ms, 1s, 59s, 1h, 24h}) {
    CAPTURE(duration.count());
    const Durations durations = all(duration);
    for (const double q : {0.0, 0.01, 0.5, 0.99, 1.0}) {
      CHECK(as_double(*durations.quantile(q)) ==
            doctest::Approx(as_double(duration)).epsilon(0.13));
    }
    CHECK(durations.mean() == duration);
  }
}

TEST_CASE("durations beyond the ends are counted at the ends") {
  Durations durations;
  durations.add(-5s);
  durations.add(0ms);
  CHECK(durations.mean() == 1ms);
  CHECK(*durations.quantile(1) <= 2ms);
  const Durations long_ones = all(milliseconds::max(), 100'000);
  CHECK(*long_ones.quantile(0) >= 33h);
  CHECK(*long_ones.quantile(1) <= 38h);
  CHECK_FALSE(long_ones.remaining(milliseconds::max()));
}

TEST_CASE("quantiles of a spread are in order and in place") {
  Durations durations;
  for (int i = 1; i <= 200; ++i) durations.add(milliseconds(i * 10));
  milliseconds last{0};
  for (int percent = 0; percent <= 100; percent += 5) {
    const milliseconds quantile = *durations.quantile(percent / 100.0);
    CHECK(quantile >= last);
    last = quantile;
    if (percent >= 10) {
      CHECK(as_double(quantile) == doctest::Approx(percent * 20.0).epsilon(0.1));
    }
  }
  CHECK(as_double(*durations.mean()) == doctest::Approx(1005.0).epsilon(0.01));
}

TEST_CASE("the past fades: a few hundred new durations outweigh any number of old ones") {
  Durations durations = all(1s, 1'000'000);
  for (int i = 0; i < 200; ++i) durations.add(10s);
  CHECK(as_double(*durations.quantile(0.5)) == doctest::Approx(10'000).epsilon(0.13));
  for (int i = 0; i < 1500; ++i) durations.add(10s);
  CHECK(as_double(*durations.quantile(0)) == doctest::Approx(10'000).epsilon(0.13));
  CHECK(as_double(*durations.mean()) == doctest::Approx(10'000).epsilon(0.02));
}

TEST_CASE("what remains is what is usual for those that took so long") {
  Durations durations;
  for (int i = 0; i < 90; ++i) durations.add(1s);
  for (int i = 0; i < 30; ++i) durations.add(100s);
  CHECK(as_double(*durations.remaining(0ms)) == doctest::Approx(1000).epsilon(0.15));
  CHECK(as_double(*durations.remaining(2s)) == doctest::Approx(98'000).epsilon(0.1));
  CHECK(as_double(*durations.remaining(50s)) == doctest::Approx(50'000).epsilon(0.2));
  CHECK_FALSE(durations.remaining(200s));
}

TEST_CASE("Retry-After is whole seconds within its bounds, and never 0") {
  const Durations none;
  const Durations run = all(2500ms);
  CHECK(estimate(none, none, Progress(), 0ms, 0ms).retry_after == 1s);
  CHECK(estimate(none, none, Progress(), 1500ms, 60s).retry_after == 2s);
  CHECK(estimate(none, run, running(0ms), 1s, 60s).retry_after == 3s);
  CHECK(estimate(none, run, running(0ms), 10s, 60s).retry_after == 10s);
  CHECK(estimate(none, run, running(0ms), 1s, 2900ms).retry_after == 2s);
  CHECK(estimate(none, run, running(0ms), 5s, 2s).retry_after == 5s);
  CHECK(estimate(none, all(1h), running(0ms), 1s, 60s).retry_after == 60s);
}

TEST_CASE("without history a client asks at once and then ever more seldom") {
  const Durations none;
  CHECK(again(none, none, running(0ms)) == 1s);
  CHECK(again(none, none, queued(100, 1)) == 1s);
  CHECK(again(none, none, running(30s)) == 10s);
  CHECK(again(none, none, queued(0, 1, 30s)) == 10s);
  CHECK(again(none, none, running(24h)) == 60s);
  CHECK_FALSE(estimate(none, none, running(30s), 1s, 60s).completion);
}

TEST_CASE("a running job ends when its like do; one that is overdue is unknown") {
  const Durations none;
  const Durations run = all(10s);
  CHECK(again(none, run, running(0ms)) <= 11s);
  CHECK(again(none, run, running(0ms)) >= 9s);
  CHECK(again(none, run, running(7s)) <= 4s);
  const Estimate early = estimate(none, run, running(4s), 1s, 60s);
  REQUIRE(early.completion);
  CHECK(as_double(*early.completion - now) == doctest::Approx(6000).epsilon(0.2));
  const Estimate overdue = estimate(none, run, running(60s), 1s, 60s);
  CHECK(overdue.retry_after == 20s);
  CHECK_FALSE(overdue.completion);
}

TEST_CASE("a queued job waits for those before it, shared among the places") {
  const Durations run = all(10s);
  const Durations wait = all(1s);
  const auto completion = [&](const Progress& progress) {
    return as_double(*estimate(wait, run, progress, 1s, 1h).completion - now);
  };
  CHECK(completion(queued(9, 1)) == doctest::Approx(110'000).epsilon(0.02));
  CHECK(completion(queued(9, 10)) == doctest::Approx(20'000).epsilon(0.05));
  CHECK(completion(queued(999, 0)) == doctest::Approx(10'010'000).epsilon(0.01));
  CHECK(estimate(wait, run, queued(9, 1), 1s, 1h).retry_after <= 111s);
  CHECK(estimate(wait, run, queued(9, 1), 1s, 1h).retry_after >= 109s);
  CHECK(estimate(wait, run, queued(~std::uint64_t{0}, 1), 1s, 1h).retry_after == 1h);
}

TEST_CASE("when a job ends that waits for an operator nobody knows") {
  Progress paused = queued(9, 1, 90s);
  paused.paused = true;
  const Estimate estimated = estimate(all(1s), all(10s), paused, 1s, 60s);
  CHECK_FALSE(estimated.completion);
  CHECK(estimated.retry_after == 30s);
}

TEST_CASE("the next in the queue waits as the last ones did, at most for one place") {
  const Durations run = all(10s);
  CHECK(again(all(1ms), run, queued(0, 1)) <= 11s);
  CHECK(again(all(1h), run, queued(0, 2)) <= 16s);
  CHECK(again(all(1h), run, queued(0, 2)) >= 14s);
}

TEST_CASE("the next in the queue that is kept waiting unusually long is asked for seldom") {
  const Durations run = all(1s);
  const Estimate stuck = estimate(all(10ms), run, queued(0, 4, 90s), 1s, 60s);
  CHECK(stuck.retry_after == 30s);
  CHECK_FALSE(stuck.completion);
  // In a long queue it is usual.
  const Estimate usual = estimate(all(100s), run, queued(0, 4, 90s), 1s, 60s);
  CHECK(usual.retry_after == 6s);
  CHECK(usual.completion);
}

TEST_CASE("a final job may be asked for at once") {
  Progress final;
  final.state = State::failed;
  final.age = 24h;
  const Estimate done = estimate(all(1h), all(1h), final, 1s, 60s);
  CHECK(done.retry_after == 1s);
  CHECK_FALSE(done.completion);
}

namespace {

struct Polls {
  double mean = 0;      // a job
  double overhead = 0;  // of the time until the client knows, over the job's own
};

// Clients that do as they are told, each job a run drawn from `draw` (ms), after some history.
Polls poll(const std::function<double(std::mt19937&)>& draw) {
  constexpr int jobs = 3000;
  std::mt19937 random(99);
  const Durations wait = all(1ms);
  Durations run;
  for (int i = 0; i < 300; ++i) run.add(milliseconds(std::llround(draw(random))));
  double polls = 0;
  double took = 0;
  double known = 0;
  for (int i = 0; i < jobs; ++i) {
    const milliseconds length(std::llround(draw(random)));
    milliseconds age{0};
    do {
      age += estimate(wait, run, running(age), 1s, 24h).retry_after;
      polls += 1;
    } while (age < length);
    took += as_double(std::max<milliseconds>(length, 1s));
    known += as_double(age);
    run.add(length);
  }
  return Polls{polls / jobs, known / took - 1};
}

}  // namespace

TEST_CASE("a client polls about twice, whatever the durations, and learns the end soon after") {
  struct Row {
    std::string name;
    std::function<double(std::mt19937&)> draw;
  };
  const Row rows[] = {
      {"quick", [](std::mt19937&) { return 200.0; }},
      {"always ten minutes", [](std::mt19937&) { return 600'000.0; }},
      {"about a minute",
       [](auto& r) { return std::max(1.0, std::normal_distribution(6e4, 5e3)(r)); }},
      {"exponential", [](auto& r) { return std::exponential_distribution(1 / 6e4)(r) + 1; }},
      {"log-normal", [](auto& r) { return std::lognormal_distribution(std::log(2e4), 1.0)(r); }},
      {"two kinds", [](auto& r) { return r() % 10 == 0 ? 6e5 : 3e3; }},
      {"heavy tail",
       [](auto& r) {
         return std::min(8e7, 3e3 * std::pow(std::uniform_real_distribution(1e-9, 1.0)(r), -0.8));
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Polls result = poll(row.draw);
    CAPTURE(result.mean);
    CAPTURE(result.overhead);
    CHECK(result.mean <= 2.2);
    CHECK(result.overhead <= 0.45);
  }
}

TEST_CASE("a backend that is down for an hour is asked about a few dozen times, not thousands") {
  const Durations wait = all(10ms);
  const Durations run = all(1s);
  int polls = 0;
  for (milliseconds age{0}; age < 1h; age += again(wait, run, queued(0, 8, age))) ++polls;
  CHECK(polls <= 75);  // 60 of them because Retry-After is at most a minute
}
