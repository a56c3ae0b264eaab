// What a new process does about the jobs of the one before it, before anything is accepted.
// Start-up: synchronous, on the opening thread, which stands in for the store's writer while that
// has nothing to do yet. Throws std::runtime_error.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jobs/clock.hpp"
#include "proxy/site.hpp"
#include "store/backend.hpp"

namespace raincheck::proxy {

struct RecoveredCounts {
  std::uint64_t requeued = 0;   // or followed
  std::uint64_t unknown = 0;    // ended outcome_unknown
  std::uint64_t abandoned = 0;  // ended route_removed
};

struct Recovered : RecoveredCounts {
  std::uint64_t queued = 0;  // waiting now, or followed
  // Their backend goes on with the call: recorded as running, to be started in a slot that is taken
  // before any other, or it would get more calls than it may.
  struct Followed {
    std::size_t upstream = 0;
    jobs::Job job;
  };
  std::vector<Followed> followed;
  // With `on_abort: drain` a backend may still be busy with what the earlier process sent: such a
  // call keeps its slot.
  struct Held {
    std::size_t upstream = 0;
    jobs::milliseconds time{};
  };
  std::vector<Held> held;
};

// Afterwards the lanes of the site are counted anew, with what was queued again. How far it is is
// told before each transaction.
Recovered recover_jobs(store::Backend& backend,
                       Site& site,
                       const jobs::Clock& clock,
                       const std::function<void(const std::string&)>& tell);

}  // namespace raincheck::proxy
