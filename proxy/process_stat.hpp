// What the kernel says of this process, for metrics. Reads /proc; any thread.
#pragma once

#include <cstdint>

#include "jobs/job.hpp"

namespace raincheck::proxy {

struct ProcessStat {
  double cpu_seconds = 0;
  double start_seconds = 0;  // since 1970
  std::int64_t resident_bytes = 0;
  std::int64_t open_files = 0;
  std::int64_t max_files = 0;
};

ProcessStat read_process_stat(jobs::WallTime now);

}  // namespace raincheck::proxy
