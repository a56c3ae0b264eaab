// Whether the program is well, for /healthz, /readyz and the watchdog: pure functions on what was
// observed. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobs/clock.hpp"
#include "store/space.hpp"

namespace raincheck::proxy {

// One thing that is looked at. `trouble` is empty if it is well, else a clause for people.
struct Vital {
  std::string name;
  std::string trouble;
};

// Longest time without progress, for those who watch.
constexpr std::chrono::seconds progress_within{10};

// Of something that was seen to get on at `seen`; never, if it has nothing to do.
Vital check_progress(std::string name,
                     jobs::TimePoint seen,
                     jobs::TimePoint now,
                     jobs::milliseconds within);

// Why the store takes no new jobs, with numbers; empty: it does.
std::string shortage_of(const store::Space& space);

bool all_well(const std::vector<Vital>& checks);

// {"status":"ok","checks":{"loop":"ok"}}; unless `verbose`, with the checks that failed only.
std::string show_checks(const std::vector<Vital>& checks, bool verbose);

// Those that failed, as a clause.
std::string troubles(const std::vector<Vital>& checks);

}  // namespace raincheck::proxy
