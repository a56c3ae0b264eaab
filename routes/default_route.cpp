#include "routes/default_route.hpp"

namespace raincheck::routes {

DefaultRoute::DefaultRoute(const config::Upstream& upstream) {
  config.upstream = upstream.name;
  config.async.mode = config::Mode::never;
  std::vector<RuleProblem> none;  // defaults have no mistakes
  rules.compile(config, &upstream, PathPattern(), nullptr, none);
}

}  // namespace raincheck::routes
