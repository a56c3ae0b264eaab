#include "jobs/schedule.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <vector>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{milliseconds(1'772'000'000'000)};
constexpr int high = 0;
constexpr int normal = 1;
constexpr int low = 2;

LaneState lane(int priority, std::uint64_t queued = 1'000'000) {
  LaneState state;
  state.queued = queued;
  state.priority = priority;
  return state;
}

std::vector<std::size_t> turns(std::vector<LaneState>& lanes, std::size_t count) {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<std::size_t> next = next_lane(lanes, now);
    REQUIRE(next);
    chosen.push_back(*next);
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
  CHECK_FALSE(next_lane({}, now));
  std::vector<LaneState> lanes{lane(high, 0), lane(low, 3)};
  lanes[1].next_due = now + 1ms;
  CHECK_FALSE(next_lane(lanes, now));
  CHECK(next_lane(lanes, now + 1ms) == 1);
}

TEST_CASE("a job due exactly now or at once is due") {
  std::vector<LaneState> lanes{lane(normal)};
  CHECK(next_lane(lanes, now) == 0);
  lanes[0].next_due = now;
  CHECK(next_lane(lanes, now) == 0);
}

TEST_CASE("turns are shared 16 : 4 : 1, exactly in every 21, and the first is high") {
  std::vector<LaneState> lanes{lane(low), lane(high), lane(normal)};
  const std::vector<std::size_t> chosen = turns(lanes, 21 * 40);
  CHECK(chosen.front() == 1);
  for (std::size_t begin = 0; begin + 21 <= chosen.size(); begin += 21) {
    const std::vector<std::size_t> window(chosen.begin() + static_cast<std::ptrdiff_t>(begin),
                                          chosen.begin() + static_cast<std::ptrdiff_t>(begin) + 21);
    CHECK(counts(window, 3) == std::vector<int>{1, 16, 4});
  }
}

TEST_CASE("two priorities share in their own ratio, and one alone has every turn") {
  std::vector<LaneState> lanes{lane(normal), lane(low)};
  CHECK(counts(turns(lanes, 500), 2) == std::vector<int>{400, 100});
  lanes = {lane(high, 0), lane(normal), lane(low, 0)};
  CHECK(counts(turns(lanes, 50), 3) == std::vector<int>{0, 50, 0});
}

TEST_CASE("turns are spread: high never waits for two others in a row") {
  std::vector<LaneState> lanes{lane(high), lane(normal), lane(low)};
  int others = 0;
  for (const std::size_t i : turns(lanes, 2100)) {
    others = i == 0 ? 0 : others + 1;
    CHECK(others <= 2);
  }
}

TEST_CASE("lanes of one priority take turns, and their number does not change its share") {
  std::vector<LaneState> lanes{lane(high)};
  for (int i = 0; i < 10; ++i) lanes.push_back(lane(normal));
  const std::vector<int> count = counts(turns(lanes, 2000), lanes.size());
  CHECK(count[0] == 1600);
  for (std::size_t i = 1; i < lanes.size(); ++i) CHECK(count[i] == 40);
}

TEST_CASE("a lane without work is passed over and has its turn soon when it has some again") {
  std::vector<LaneState> lanes{lane(normal), lane(normal, 0), lane(normal)};
  for (const std::size_t i : turns(lanes, 100)) CHECK(i != 1);
  lanes[1].queued = 5;
  CHECK(turns(lanes, 1).front() == 1);
  const std::vector<int> count = counts(turns(lanes, 30), 3);
  CHECK(count == std::vector<int>{10, 10, 10});
}

TEST_CASE("an empty lane saves no credit") {
  std::vector<LaneState> lanes{lane(high), lane(low, 0)};
  turns(lanes, 10'000);
  lanes[1].queued = 1'000'000;
  const std::vector<int> count = counts(turns(lanes, 170), 2);
  CHECK(count[1] <= 11);
}

TEST_CASE("a lane that is always empty after its turn gets no more than its share") {
  std::vector<LaneState> lanes{lane(high), lane(low)};
  int of_low = 0;
  for (int i = 0; i < 17'000; ++i) {
    const std::optional<std::size_t> next = next_lane(lanes, now);
    REQUIRE(next);
    if (*next == 1) {
      ++of_low;
      lanes[1].queued = 0;
      if (next_lane(lanes, now) != 0) FAIL("an empty lane was chosen");
      ++i;
      lanes[1].queued = 1;
    }
  }
  CHECK(of_low <= 1001);
  CHECK(of_low >= 990);
}

TEST_CASE("high work that comes now and then does not wait") {
  std::vector<LaneState> lanes{lane(high, 0), lane(normal), lane(low)};
  for (int round = 0; round < 200; ++round) {
    turns(lanes, static_cast<std::size_t>(20 + round % 7));
    lanes[0].queued = 1;
    const std::vector<std::size_t> chosen = turns(lanes, 2);
    CHECK((chosen[0] == 0 || chosen[1] == 0));
    lanes[0].queued = 0;
  }
}

TEST_CASE("low is never starved, however work comes and goes, and credit stays bounded") {
  std::mt19937 random(12345);
  std::vector<LaneState> lanes{lane(high), lane(high), lane(normal), lane(normal), lane(low)};
  int waiting = 0;
  for (int i = 0; i < 100'000; ++i) {
    for (std::size_t j = 0; j < 4; ++j) lanes[j].queued = random() % 3;
    const std::optional<std::size_t> next = next_lane(lanes, now);
    REQUIRE(next);
    waiting = *next == 4 ? 0 : waiting + 1;
    REQUIRE(waiting <= 40);
    for (const LaneState& state : lanes) {
      REQUIRE(state.credit <= 0);
      REQUIRE(state.credit >= -16);
    }
  }
}

TEST_CASE("a lane that is new takes the credit of its priority") {
  std::vector<LaneState> lanes{lane(high), lane(low)};
  turns(lanes, 20);
  int of_low = 0;
  for (int i = 0; i < 1700; ++i) {
    if (i % 10 == 0) lanes.push_back(lane(low));
    if (turns(lanes, 1).front() != 0) ++of_low;
  }
  CHECK(of_low <= 101);
}

TEST_CASE("a priority that does not exist is the nearest") {
  std::vector<LaneState> lanes{lane(-5), lane(99)};
  CHECK(counts(turns(lanes, 170), 2) == std::vector<int>{160, 10});
}
