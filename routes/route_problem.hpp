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

}  // namespace raincheck::routes
