// A page of jobs for people: by state, route, age, request id or label, in the order in which they
// came. Only labels have an index: else it walks the rows, and each call looks at a bounded number
// of them.
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
  std::string label;  // "name=value": only rows of jobs that have it are looked at
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
