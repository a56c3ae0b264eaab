#include "jobs/schedule.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{milliseconds(1'772'000'000'000)};
constexpr int high = 0;
constexpr int normal = 1;
constexpr int low = 2;

constexpr std::uint64_t many = 1'000'000;

// Lanes of these priorities, with as many jobs due at once in each.
Schedule schedule_of(const std::vector<int>& priorities, std::uint64_t count = many) {
  Schedule schedule;
  for (const int priority : priorities) schedule.set(schedule.add(priority), {count, {}});
  return schedule;
}

std::optional<std::size_t> next(Schedule& schedule, WallTime at = now) {
  const std::optional<Schedule::Turn> turn = schedule.next(at);
  if (!turn) return std::nullopt;
  CHECK(turn->count == 1);
  return turn->lane;
}

std::vector<std::size_t> turns(Schedule& schedule, std::size_t count) {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<std::size_t> lane = next(schedule);
    REQUIRE(lane);
    chosen.push_back(*lane);
  }
  return chosen;
}

std::vector<int> counts(const std::vector<std::size_t>& chosen, std::size_t lanes) {
  std::vector<int> counts(lanes);
  for (const std::size_t i : chosen) ++counts[i];
  return counts;
}

}  // namespace

TEST_CASE("without a job due no lane is next") {
  Schedule schedule;
  CHECK_FALSE(next(schedule));
  schedule = schedule_of({high, low}, 0);
  schedule.set(1, {3, now + 1ms});
  CHECK(schedule.due_lanes(now) == 0);
  CHECK_FALSE(next(schedule));
  CHECK(next(schedule, now + 1ms) == 1);
  CHECK(schedule.count() == 2);
}

TEST_CASE("a job due exactly now or at once is due") {
  Schedule schedule = schedule_of({normal});
  CHECK(next(schedule) == 0);
  schedule.set(0, {2, now});
  CHECK(schedule.due_lanes(now) == 1);
  CHECK(next(schedule) == 0);
}

TEST_CASE("a turn takes a job, and a lane without any is passed over") {
  Schedule schedule = schedule_of({normal, normal}, 0);
  schedule.set(0, {2, {}});
  schedule.set(1, {1, {}});
  CHECK(turns(schedule, 3) == std::vector<std::size_t>{0, 1, 0});
  CHECK(schedule.count() == 0);
  CHECK_FALSE(next(schedule));
}

TEST_CASE("it is known which lane comes due next, after a moment") {
  Schedule schedule = schedule_of({high, normal, low}, 0);
  CHECK_FALSE(schedule.next_due(now));
  schedule.set(0, {1, now + 5ms});
  schedule.set(1, {1, now + 3ms});
  schedule.set(2, {1, {}});
  CHECK(schedule.next_due(now) == now + 3ms);
  CHECK(schedule.next_due(now + 3ms) == now + 5ms);
  CHECK_FALSE(schedule.next_due(now + 5ms));
  schedule.set(1, {1, now + 9ms});
  CHECK(schedule.next_due(now) == now + 5ms);
}

TEST_CASE("a lane that is stopped has no turns, keeps what it has, and goes on afterwards") {
  Schedule schedule = schedule_of({high, normal}, 5);
  schedule.stop(0, true);
  schedule.set(0, {7, {}});
  CHECK(schedule.of(0).count == 7);
  CHECK(schedule.count() == 12);
  CHECK(turns(schedule, 3) == std::vector<std::size_t>{1, 1, 1});
  schedule.stop(1, true);
  CHECK(schedule.due_lanes(now) == 0);
  schedule.set(1, {2, now + 1ms});
  CHECK_FALSE(schedule.next_due(now));
  schedule.stop(0, false);
  CHECK(next(schedule) == 0);
  schedule.stop(1, false);
  CHECK(schedule.next_due(now) == now + 1ms);
}

TEST_CASE("turns are shared 16 : 4 : 1, exactly in every 21, and the first is high") {
  Schedule schedule = schedule_of({low, high, normal});
  const std::vector<std::size_t> chosen = turns(schedule, 21 * 40);
  CHECK(chosen.front() == 1);
  for (std::size_t begin = 0; begin + 21 <= chosen.size(); begin += 21) {
    const std::vector<std::size_t> window(chosen.begin() + static_cast<std::ptrdiff_t>(begin),
                                          chosen.begin() + static_cast<std::ptrdiff_t>(begin) + 21);
    CHECK(counts(window, 3) == std::vector<int>{1, 16, 4});
  }
}

TEST_CASE("two priorities share in their own ratio, and one alone has every turn") {
  Schedule schedule = schedule_of({normal, low});
  CHECK(counts(turns(schedule, 500), 2) == std::vector<int>{400, 100});
  schedule = schedule_of({high, normal, low}, 0);
  schedule.set(1, {many, {}});
  CHECK(counts(turns(schedule, 50), 3) == std::vector<int>{0, 50, 0});
}

TEST_CASE("turns are spread: high never waits for two others in a row") {
  Schedule schedule = schedule_of({high, normal, low});
  int others = 0;
  for (const std::size_t i : turns(schedule, 2100)) {
    others = i == 0 ? 0 : others + 1;
    CHECK(others <= 2);
  }
}

TEST_CASE("lanes of one priority take turns, and their number does not change its share") {
  Schedule schedule = schedule_of({high});
  for (int i = 0; i < 10; ++i) schedule.set(schedule.add(normal), {many, {}});
  const std::vector<int> count = counts(turns(schedule, 2000), 11);
  CHECK(count[0] == 1600);
  for (std::size_t i = 1; i < count.size(); ++i) CHECK(count[i] == 40);
}

TEST_CASE("a lane without work has its turn soon when it has some again") {
  Schedule schedule = schedule_of({normal, normal, normal});
  schedule.set(1, {});
  for (const std::size_t i : turns(schedule, 100)) CHECK(i != 1);
  schedule.set(1, {many, {}});
  CHECK(turns(schedule, 1).front() == 1);
  CHECK(counts(turns(schedule, 30), 3) == std::vector<int>{10, 10, 10});
}

TEST_CASE("a priority without work saves no credit") {
  Schedule schedule = schedule_of({high, low});
  schedule.set(1, {});
  turns(schedule, 10'000);
  schedule.set(1, {many, {}});
  CHECK(counts(turns(schedule, 170), 2)[1] <= 11);
}

TEST_CASE("a lane that is always empty after its turn gets no more than its share") {
  Schedule schedule = schedule_of({high, low}, 1);
  int of_low = 0;
  for (int i = 0; i < 17'000; ++i) {
    schedule.set(0, {many, {}});
    if (next(schedule) != 1) continue;
    ++of_low;
    CHECK(next(schedule) == 0);
    ++i;
    schedule.set(1, {1, {}});
  }
  CHECK(of_low <= 1001);
  CHECK(of_low >= 990);
}

TEST_CASE("high work that comes now and then does not wait") {
  Schedule schedule = schedule_of({high, normal, low});
  schedule.set(0, {});
  for (int round = 0; round < 200; ++round) {
    turns(schedule, static_cast<std::size_t>(20 + round % 7));
    schedule.set(0, {1, {}});
    const std::vector<std::size_t> chosen = turns(schedule, 2);
    CHECK((chosen[0] == 0 || chosen[1] == 0));
  }
}

TEST_CASE("low is never starved, however work comes and goes") {
  std::mt19937 random(12345);
  Schedule schedule = schedule_of({high, high, normal, normal, low});
  int waiting = 0;
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t lane = 0; lane < 4; ++lane) schedule.set(lane, {random() % 3, {}});
    const std::optional<std::size_t> chosen = next(schedule);
    REQUIRE(chosen);
    waiting = *chosen == 4 ? 0 : waiting + 1;
    REQUIRE(waiting <= 40);
  }
}

TEST_CASE("a lane of a priority is never starved by others that come and go") {
  std::mt19937 random(12345);
  Schedule schedule = schedule_of({normal, normal, normal, normal});
  int waiting = 0;
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t lane = 0; lane < 3; ++lane) schedule.set(lane, {random() % 2, {}});
    waiting = next(schedule) == 3 ? 0 : waiting + 1;
    REQUIRE(waiting <= 3);
  }
}

TEST_CASE("a lane that is new takes the credit of its priority") {
  Schedule schedule = schedule_of({high, low});
  turns(schedule, 20);
  int of_low = 0;
  for (int i = 0; i < 1700; ++i) {
    if (i % 10 == 0) schedule.set(schedule.add(low), {many, {}});
    if (turns(schedule, 1).front() != 0) ++of_low;
  }
  CHECK(of_low <= 101);
}

TEST_CASE("a priority that does not exist is the nearest") {
  Schedule schedule = schedule_of({-5, 99});
  CHECK(counts(turns(schedule, 170), 2) == std::vector<int>{160, 10});
}

TEST_CASE("a turn of several jobs takes no more than there are, and is paid for each of them") {
  Schedule schedule = schedule_of({high, low, low}, 100);
  schedule.set(1, {3, {}});
  std::vector<std::uint32_t> taken(3);
  for (int i = 0; i < 16; ++i) {
    const std::optional<Schedule::Turn> turn = schedule.next(now, 5);
    REQUIRE(turn);
    CHECK(turn->count == (turn->lane == 1 ? 3 : 5));
    taken[turn->lane] += turn->count;
  }
  CHECK(taken == std::vector<std::uint32_t>{70, 3, 5});
  CHECK(schedule.of(1).count == 0);
  CHECK(schedule.count() == 203 - 78);
}

TEST_CASE("what waits in stopped lanes cannot start") {
  Schedule schedule = schedule_of({normal, low}, 0);
  schedule.set(0, {5, {}});
  schedule.set(1, {2, now + 1ms});
  CHECK(schedule.startable() == 7);
  schedule.stop(0, true);
  schedule.set(0, {6, {}});
  CHECK(schedule.startable() == 2);
  CHECK(next(schedule, now + 1ms) == 1);
  CHECK(schedule.startable() == 1);
  CHECK(schedule.count() == 7);
  schedule.stop(0, false);
  CHECK(schedule.startable() == 7);
}
