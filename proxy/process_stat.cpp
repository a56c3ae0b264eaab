#include "proxy/process_stat.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>

namespace raincheck::proxy {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::int64_t count_files() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
  if (!folder) return 0;
  std::int64_t entries = 0;
  while (::readdir(folder.get()) != nullptr) ++entries;
  return entries - 3;  // ".", ".." and the folder itself
}

// proc(5): the 22nd field of stat, in clock ticks after the machine was started.
double started_after_boot() {
  std::string line;
  std::getline(std::ifstream("/proc/self/stat"), line);
  std::size_t place = line.rfind(')');
  for (int field = 3; place != line.npos && field <= 22; ++field) place = line.find(' ', place + 1);
  if (place == line.npos) return 0;
  return static_cast<double>(std::strtoull(line.c_str() + place, nullptr, 10)) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessStat read_process_stat(jobs::WallTime now) {
  ProcessStat stat;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  stat.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  stat.resident_bytes = pages * ::sysconf(_SC_PAGESIZE);
  stat.open_files = count_files();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  stat.max_files = static_cast<std::int64_t>(limit.rlim_cur);
  timespec up{};
  ::clock_gettime(CLOCK_BOOTTIME, &up);
  const double up_seconds = static_cast<double>(up.tv_sec) + static_cast<double>(up.tv_nsec) / 1e9;
  stat.start_seconds =
      static_cast<double>(now.time_since_epoch().count()) / 1e3 - up_seconds + started_after_boot();
  return stat;
}

}  // namespace raincheck::proxy
