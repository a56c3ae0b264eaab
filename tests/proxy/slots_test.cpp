#include "proxy/slots.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using raincheck::proxy::Slots;

TEST_CASE("slots are given out up to their number and not one beyond") {
  Slots slots(2);
  CHECK(slots.try_take());
  CHECK(slots.try_take());
  CHECK_FALSE(slots.try_take());
  slots.give();
  CHECK(slots.taken() == 1);
  CHECK(slots.try_take());
}

TEST_CASE("who asks for several slots gets those that there are") {
  Slots slots(5);
  CHECK(slots.take_up_to(3) == 3);
  CHECK(slots.take_up_to(3) == 2);
  CHECK(slots.take_up_to(3) == 0);
  slots.give(5);
  CHECK(slots.taken() == 0);
  CHECK(slots.take_up_to(0) == 0);
}

TEST_CASE("only shards that want a slot are woken when one comes free, and once") {
  Slots slots(1);
  std::vector<int> woken(3);
  slots.set_wake({[&] { ++woken[0]; }, [&] { ++woken[1]; }, [&] { ++woken[2]; }});
  REQUIRE(slots.try_take());
  slots.give();
  CHECK(woken == std::vector<int>{0, 0, 0});
  REQUIRE(slots.try_take());
  slots.want(0);
  slots.want(2);
  slots.give();
  slots.give(0);
  CHECK(woken == std::vector<int>{1, 0, 1});
}

TEST_CASE("a slot that comes free between asking and wanting is found by asking again") {
  Slots slots(1);
  REQUIRE(slots.try_take());
  REQUIRE_FALSE(slots.try_take());
  slots.give();
  slots.want(0);
  CHECK(slots.try_take());
}

TEST_CASE("holding back is told and taken back, and takes no slot") {
  Slots slots(1);
  CHECK_FALSE(slots.held());
  slots.hold(true);
  CHECK(slots.held());
  CHECK(slots.try_take());
  slots.hold(false);
  CHECK_FALSE(slots.held());
}

TEST_CASE("threads together never take more slots than there are") {
  constexpr std::uint32_t max = 3;
  Slots slots(max);
  std::atomic<std::uint32_t> inside{0};
  std::atomic<bool> over{false};
  const auto work = [&] {
    for (int i = 0; i < 5'000; ++i) {
      const std::uint32_t taken = slots.take_up_to(2);
      if (inside.fetch_add(taken) + taken > max) over = true;
      inside.fetch_sub(taken);
      slots.give(taken);
    }
  };
  std::thread other(work);
  work();
  other.join();
  CHECK_FALSE(over);
  CHECK(slots.taken() == 0);
}
