#include "jobs/monitor.hpp"

namespace raincheck::jobs {

std::string Monitor::text() const {
  return server + " " + target + " " + result;
}

std::optional<Monitor> Monitor::parse(std::string_view text) {
  const std::size_t first = text.find(' ');
  const std::size_t second = text.find(' ', first + 1);
  if (first == text.npos || second == text.npos || second == first + 1) return std::nullopt;
  Monitor monitor;
  monitor.server = text.substr(0, first);
  monitor.target = text.substr(first + 1, second - first - 1);
  monitor.result = text.substr(second + 1);
  return monitor;
}

}  // namespace raincheck::jobs
