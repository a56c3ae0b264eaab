// What every backend does with lanes.
#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;

using Marks = std::vector<int>;

BACKEND_TEST("a lane keeps its number, and another upstream, route or priority is another lane") {
  UnderTest store;
  const std::vector<LaneName> names{{"reports", "annual", 0},
                                    {"reports", "annual", 2},
                                    {"reports", "daily", 0},
                                    {"letters", "annual", 0}};
  const std::vector<std::uint32_t> numbers = store->open_lanes(names);
  store.crash();
  const std::vector<Lane> lanes = store->lanes();
  REQUIRE(lanes.size() == 4);
  for (std::size_t i = 0; i < names.size(); ++i) {
    CHECK(lanes[i].number == i + 1);
    CHECK(lanes[numbers[i] - 1].name == names[i]);
  }
  const std::vector<LaneName> more{
      names[2], {"reports", "weekly", 0}, names[0], {"reports", "weekly", 0}};
  const std::vector<std::uint32_t> again = store->open_lanes(more);
  CHECK(again == std::vector<std::uint32_t>{numbers[2], 5, numbers[0], 5});
  CHECK(store->lanes().size() == 5);
}

BACKEND_TEST("lanes do not see each other") {
  UnderTest store;
  const auto one = open_lane(*store, "one");
  const auto two = open_lane(*store, "two");
  for (std::uint8_t mark = 1; mark <= 6; ++mark) {
    store.apply(an_insert(mark % 2 == 0 ? two : one, mark));
  }
  Claim claim = a_claim(two, 2);
  claim.shares.push_back(a_claim(one, 10).shares.front());
  claim = store.apply(claim);
  CHECK(marks(claim) == Marks{2, 4, 1, 3, 5});
  CHECK(claim.shares[0].queued == 1);
  CHECK(claim.shares[1].queued == 0);
}

BACKEND_TEST("what is paused is paused after a crash, until it is resumed") {
  using Names = std::vector<std::string>;
  UnderTest store;
  CHECK(store->paused().empty());
  store->set_paused("route b", true);
  store->set_paused("route a", true);
  store->set_paused("route a", true);
  store.crash();
  CHECK(store->paused() == Names{"route a", "route b"});
  store->set_paused("route a", false);
  store->set_paused("route c", false);
  store.crash();
  CHECK(store->paused() == Names{"route b"});
}
