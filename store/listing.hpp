// A page of jobs for people: by state, route, age or request id, in the order in which they came.
// There is no index for it: it walks the rows, and each call looks at a bounded number of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job.hpp"

namespace raincheck::store {

struct List {
  // Which jobs: what is not set, or empty, says nothing.
  std::optional<jobs::State> state;
  std::optional<jobs::ErrorType> error;
  std::string route;
  std::string request_id;
  jobs::WallTime created_from{};
  jobs::WallTime created_before = jobs::WallTime::max();
  bool newest_first = true;

  std::uint32_t count_max = 100;    // jobs in `jobs`
  std::uint32_t look_max = 10'000;  // rows that are looked at
  // Where to go on in each lane: empty at first, then as the call before left it.
  std::vector<std::uint64_t> cursor;

  // Without heads, bodies and bytes, as of Find. Fewer than `count_max` do not mean that there are
  // no more.
  std::vector<jobs::Job> jobs;
  bool more = false;
};

}  // namespace raincheck::store
