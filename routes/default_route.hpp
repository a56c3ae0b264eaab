// The route of what no other takes: `default_upstream`, and every setting's default. Immutable; any
// thread.
#pragma once

#include "routes/route_rules.hpp"

namespace raincheck::routes {

struct DefaultRoute {
  explicit DefaultRoute(const config::Upstream& upstream);
  DefaultRoute(const DefaultRoute&) = delete;
  DefaultRoute& operator=(const DefaultRoute&) = delete;

  config::Route config;
  RouteRules rules;
};

}  // namespace raincheck::routes
