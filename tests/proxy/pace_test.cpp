#include "proxy/pace.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "tests/support/manual_clock.hpp"

using raincheck::proxy::Pace;
using raincheck::test::ManualClock;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

// How long a client is borne with that sends `step` bytes after each `pause`; nothing: for ever.
std::optional<milliseconds> borne(Pace pace, std::uint64_t step, milliseconds pause) {
  ManualClock clock;
  const auto begin = clock.now();
  for (std::uint64_t bytes = 0; clock.now() - begin < 24h; bytes += step) {
    const auto deadline = pace.deadline(clock.now(), bytes);
    if (deadline < clock.now() + pause) {
      return std::chrono::duration_cast<milliseconds>(deadline - begin);
    }
    clock.advance(pause);
    pace.add(pause);
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("after the grace a client may not be slower than the rate on average") {
  struct Case {
    const char* name;
    std::uint64_t rate;
    std::uint64_t step;
    milliseconds pause;
    std::optional<milliseconds> borne_for;
  };
  const Case cases[] = {
      {"at exactly the rate", 1024, 1024, 1s, std::nullopt},
      {"a little faster", 1024, 1025, 1s, std::nullopt},
      {"at half the rate", 1024, 512, 1s, 59s},
      {"a byte a second", 1024, 1, 1s, 30s},
      {"nothing at all", 1024, 0, 1s, 30s},
      {"a burst, and nothing after the grace", 1024, 60 * 1024, 1h, 30s},
      {"bursts that keep the average", 1024, 29 * 1024, 29s, std::nullopt},
      {"any rate", 0, 0, 1h, std::nullopt},
      {"less than a byte in a millisecond", 10, 1, 100ms, std::nullopt},
      {"less than that", 10, 1, 200ms, 59'500ms},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto time = borne(Pace(c.rate, 30s), c.step, c.pause);
    CHECK(time.has_value() == c.borne_for.has_value());
    if (time && c.borne_for) {
      CHECK(*time >= *c.borne_for);
      CHECK(*time < *c.borne_for + 1s);
    }
  }
}

TEST_CASE("what was sent early buys time later") {
  const ManualClock clock;
  Pace pace(1024, 30s);
  pace.add(1s);
  CHECK(pace.deadline(clock.now(), 100 * 1024) == clock.now() + 129s);
  pace.add(99s);
  CHECK(pace.deadline(clock.now(), 100 * 1024) == clock.now() + 30s);
  CHECK(pace.deadline(clock.now(), 100 * 1024 + 512) == clock.now() + 30'500ms);
}

TEST_CASE("time in which the client was not waited for does not count") {
  ManualClock clock;
  Pace pace(1024, 30s);
  clock.advance(10min);
  CHECK(pace.deadline(clock.now(), 0) == clock.now() + 30s);
}

TEST_CASE("the largest body at the lowest rate does not overflow") {
  const ManualClock clock;
  const Pace pace(1, 30s);
  CHECK(pace.deadline(clock.now(), UINT64_MAX) > clock.now() + 24h * 365 * 30);
}
