#include "proxy/body_budget.hpp"

#include <algorithm>

namespace raincheck::proxy {

std::uint64_t body_budget_of(const config::Config& config) {
  std::uint64_t max = BodyBudget::usual;
  for (const config::Route& route : config.routes) {
    max = std::max(max, route.response_body.max_size);
  }
  return max;
}

}  // namespace raincheck::proxy
