// One run of the whole proxy against a backend and clients that a seed makes up: submissions,
// polls, cancels, faults, clocks that jump, full disks, crashes between any two commits and
// restarts. After every step the model is asked if all promises hold. The same seed does the same
// again.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/watched_backend.hpp"

namespace raincheck::simulation {

struct Outcome {
  std::string complaint;  // empty: every promise held
  std::string history;    // what happened, in lines
  std::size_t jobs = 0;
  std::size_t acknowledged = 0;
  std::size_t answers = 0;  // that clients had
  std::size_t calls = 0;
  std::size_t executions = 0;
  std::size_t crashes = 0;
  std::size_t restarts = 0;
};

Outcome simulate(std::uint64_t seed, Sabotage sabotage = Sabotage::none);

}  // namespace raincheck::simulation
