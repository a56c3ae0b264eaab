// What a configuration's routes are, for people: the table that `raincheck routes` prints, and why
// a request takes the route that it takes. Pure; nothing here is on the path of a request.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "routes/route_table.hpp"

namespace raincheck::routes {

// One line for each route, the most specific first, under a heading: name, match, mode, follow,
// upstream, rewrite, authorize.
std::string list_routes(const config::Config& config);

// Why a route takes a request, or does not.
struct Reason {
  const config::Route* route = nullptr;
  bool is_taken = false;
  std::string why;  // "its path is /a/*", "it matches, but 'b' is more specific"
};

// One for each route, the most specific first.
std::vector<Reason> explain_match(const config::Config& config,
                                  const RouteTable& table,
                                  const Asked& asked);

}  // namespace raincheck::routes
