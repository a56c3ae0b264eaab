// The only reader of time. Monotonic time makes deadlines; wall time makes what is stored and
// shown. Tests pass a manual one. Read from any thread.
#pragma once

#include <chrono>

#include "jobs/job.hpp"

namespace raincheck::jobs {

using TimePoint = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall_now() const = 0;
};

// The machine's clocks.
const Clock& system_clock();

}  // namespace raincheck::jobs
