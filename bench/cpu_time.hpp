// CPU time that the kernel has charged to processes, user and system, in nanoseconds. Kernel
// threads that work on their behalf (journal, writeback) are not in it. Pure reads of /proc.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace raincheck::bench {

// Of all threads that live now. The sum for a process grows steadily as long as none of them ends.
inline std::chrono::nanoseconds cpu_time(const std::vector<std::uint64_t>& processes) {
  std::int64_t total = 0;
  for (const std::uint64_t process : processes) {
    const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::int64_t nanoseconds = 0;
      std::ifstream(task.path() / "schedstat") >> nanoseconds;
      total += nanoseconds;
    }
  }
  return std::chrono::nanoseconds(total);
}

inline std::chrono::nanoseconds own_cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace raincheck::bench
