#include "proxy/service_manager.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace raincheck::proxy::service_manager {

jobs::milliseconds watchdog() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return jobs::milliseconds(0);
  return std::chrono::floor<jobs::milliseconds>(std::chrono::microseconds(microseconds));
}

void tell_alive() {
  ::sd_notify(0, "WATCHDOG=1");
}

void tell_status(const std::string& status) {
  ::sd_notify(0, fmt::format("STATUS={}", status).c_str());
}

void tell_ready(const std::string& status) {
  ::sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void tell_reloading(jobs::TimePoint now) {
  const auto time = std::chrono::floor<std::chrono::microseconds>(now).time_since_epoch().count();
  ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", time).c_str());
}

void tell_stopping() {
  ::sd_notify(0, "STOPPING=1");
}

void tell_busy(const std::string& status, jobs::milliseconds more) {
  const auto microseconds = std::chrono::microseconds(more).count();
  ::sd_notify(0, fmt::format("STATUS={}\nEXTEND_TIMEOUT_USEC={}", status, microseconds).c_str());
}

}  // namespace raincheck::proxy::service_manager
