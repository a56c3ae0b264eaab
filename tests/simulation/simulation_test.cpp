#include "tests/simulation/simulation.hpp"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <iostream>
#include <optional>

using raincheck::simulation::Outcome;
using raincheck::simulation::Sabotage;
using raincheck::simulation::simulate;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t seeds = 60;
#else
constexpr std::uint64_t seeds = 300;
#endif

// RAINCHECK_SEED=7 replays one seed, RAINCHECK_SEEDS=10000 runs that many.
std::optional<std::uint64_t> from_environment(const char* name) {
  const char* const text = std::getenv(name);
  if (!text) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

class QuietLog {
 public:
  QuietLog() { spdlog::set_level(spdlog::level::off); }
  ~QuietLog() { spdlog::set_level(spdlog::level::info); }
};

void add(Outcome& sum, const Outcome& outcome) {
  sum.jobs += outcome.jobs;
  sum.acknowledged += outcome.acknowledged;
  sum.answers += outcome.answers;
  sum.calls += outcome.calls;
  sum.executions += outcome.executions;
  sum.crashes += outcome.crashes;
  sum.restarts += outcome.restarts;
}

// The number of seeds until the model sees it.
std::uint64_t seen_after(Sabotage sabotage) {
  constexpr std::uint64_t patience = 100;
  for (std::uint64_t seed = 1; seed <= patience; ++seed) {
    if (!simulate(seed, sabotage).complaint.empty()) return seed;
  }
  return 0;
}

}  // namespace

TEST_CASE("every promise holds in whatever order requests, faults and crashes come") {
  const QuietLog quiet;
  const auto only = from_environment("RAINCHECK_SEED");
  const std::uint64_t first = only.value_or(1);
  const std::uint64_t last = only.value_or(from_environment("RAINCHECK_SEEDS").value_or(seeds));
  Outcome sum;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = simulate(seed);
    add(sum, outcome);
    CHECK_MESSAGE(outcome.complaint.empty(), "RAINCHECK_SEED=", seed, ": ", outcome.complaint);
    if (only) std::cerr << outcome.history;
  }
  const std::uint64_t count = last - first + 1;
  MESSAGE(count, " seeds: ", sum.jobs, " jobs, ", sum.acknowledged, " acknowledged, ", sum.answers,
          " answers, ", sum.calls, " calls, ", sum.executions, " executed, ", sum.crashes,
          " crashes, ", sum.restarts, " restarts");
  if (!only) CHECK(sum.crashes > 0);
}

TEST_CASE("a promise that is broken on purpose is seen") {
  const QuietLog quiet;
  CHECK_MESSAGE(seen_after(Sabotage::resend_unsafe) != 0, "an unsafe call that is sent again");
  CHECK_MESSAGE(seen_after(Sabotage::requeue_orphans) != 0, "an orphan that is sent again");
  CHECK_MESSAGE(seen_after(Sabotage::lose_commits) != 0, "a commit that is lost in a crash");
  CHECK_MESSAGE(seen_after(Sabotage::ignore_keys) != 0, "a second job for one key");
  CHECK_MESSAGE(seen_after(Sabotage::overbook) != 0, "a call too many at once");
  CHECK_MESSAGE(seen_after(Sabotage::prune_early) != 0, "a result erased too early");
  CHECK_MESSAGE(seen_after(Sabotage::forget_monitors) != 0, "a monitor that is forgotten");
  CHECK_MESSAGE(seen_after(Sabotage::forge_results) != 0, "a result that is not the backend's");
  CHECK_MESSAGE(seen_after(Sabotage::forget_pauses) != 0, "a job of a paused route that begins");
}

TEST_CASE("the same seed does the same again") {
  const QuietLog quiet;
  const Outcome once = simulate(7);
  const Outcome again = simulate(7);
  CHECK(once.jobs == again.jobs);
  CHECK(once.acknowledged == again.acknowledged);
  CHECK(once.answers == again.answers);
  CHECK(once.calls == again.calls);
  CHECK(once.crashes == again.crashes);
}
