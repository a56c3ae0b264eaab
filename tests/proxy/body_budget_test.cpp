#include "proxy/body_budget.hpp"

#include <doctest/doctest.h>

#include <optional>

using raincheck::proxy::BodyBudget;
using raincheck::proxy::BodyBudgets;

TEST_CASE("bodies share what there is, to the last byte and not one more") {
  BodyBudget budget(10);
  BodyBudget::Share first(budget);
  std::optional<BodyBudget::Share> second(budget);
  CHECK(first.take(4));
  CHECK(second->take(6));
  CHECK(!first.take(1));
  CHECK(first.take(0));
  second.reset();
  CHECK(!first.take(7));
  CHECK(first.take(6));
  first.give();
  CHECK(first.take(10));
}

TEST_CASE("one body more than all is never there") {
  BodyBudget budget(10);
  BodyBudget::Share share(budget);
  CHECK(!share.take(11));
  CHECK(!share.take(UINT64_MAX));
  CHECK(share.take(10));
}

TEST_CASE("one client never takes all") {
  BodyBudget budget(10, 4);
  BodyBudget::Share first(budget, "192.0.2.1");
  BodyBudget::Share again(budget, "192.0.2.1");
  BodyBudget::Share other(budget, "192.0.2.2");
  BodyBudget::Share nobodys(budget);
  CHECK(!first.take(5));
  CHECK(first.take(3));
  CHECK(!again.take(2));
  CHECK(again.take(1));
  CHECK(!first.take(1));
  CHECK(other.take(4));
  CHECK(!nobodys.take(3));
  CHECK(nobodys.take(2));
  first.give();
  CHECK(!again.take(4));
  CHECK(again.take(3));
}

TEST_CASE("addresses of one IPv6 network are one client, and those of IPv4 are not") {
  BodyBudget budget(100, 4);
  BodyBudget::Share first(budget, "2001:db8:0:1::1");
  BodyBudget::Share same(budget, "2001:db8:0:1:ffff::2");
  BodyBudget::Share other(budget, "2001:db8:0:2::1");
  BodyBudget::Share mapped(budget, "::ffff:192.0.2.1");
  BodyBudget::Share mapped_too(budget, "::ffff:192.0.2.2");
  CHECK(first.take(4));
  CHECK(!same.take(1));
  CHECK(other.take(4));
  CHECK(mapped.take(4));
  CHECK(mapped_too.take(4));
}

TEST_CASE("there is room for the largest body that a route wants whole, of each kind") {
  raincheck::config::Config config;
  config.routes.resize(2);
  {
    const BodyBudgets budgets(config);
    CHECK(budgets.requests.max() == BodyBudget::usual);
    CHECK(budgets.requests.client_max() == BodyBudget::usual / 4);
    CHECK(budgets.calls.max() == BodyBudget::usual);
    CHECK(budgets.answers.max() == BodyBudget::usual);
  }
  config.routes[1].response_body.max_size = BodyBudget::usual + 1;
  config.routes[0].request_body.max_size = BodyBudget::usual + 2;
  const BodyBudgets budgets(config);
  CHECK(budgets.requests.max() > BodyBudget::usual + 2);
  CHECK(budgets.requests.client_max() == budgets.requests.max());
  CHECK(budgets.calls.max() == budgets.requests.max());
  CHECK(budgets.answers.max() == budgets.calls.max() - 1);
}
