// What is wrong with the settings of a route, found when they are compiled. Values.
#pragma once

#include <string>

#include "config/config.hpp"

namespace raincheck::routes {

struct RouteProblem {
  config::Place place;
  std::string path;  // of the setting: "routes[3].match"
  std::string message;
};

// The same, as the rules of one route tell it.
struct RuleProblem {
  config::Place place;
  std::string setting;  // within the route: "rewrite.path"
  std::string message;
};

}  // namespace raincheck::routes
