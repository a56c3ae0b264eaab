#include "proxy/body_budget.hpp"

#include <doctest/doctest.h>

#include <optional>

using raincheck::proxy::body_budget_of;
using raincheck::proxy::BodyBudget;

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
  CHECK(share.take(10));
}

TEST_CASE("there is room for the largest body that a route wants whole") {
  raincheck::config::Config config;
  CHECK(body_budget_of(config) == BodyBudget::usual);
  config.routes.resize(2);
  CHECK(body_budget_of(config) == BodyBudget::usual);
  config.routes[1].response_body.max_size = BodyBudget::usual + 1;
  CHECK(body_budget_of(config) == BodyBudget::usual + 1);
}
