// What systemd is told of this process (sd_notify(3)), and shows in `systemctl status`. Where it
// did not start us nothing happens. Any thread; does not wait.
#pragma once

#include <string>

#include "jobs/clock.hpp"

namespace raincheck::proxy::service_manager {

// How often it wants tell_alive(), at least; 0: it does not.
jobs::milliseconds watchdog();
void tell_alive();
void tell_status(const std::string& status);
void tell_ready(const std::string& status);
// Until tell_ready(), whatever comes of it.
void tell_reloading(jobs::TimePoint now);
void tell_stopping();
// Starting or stopping goes on: it must not be cut short within this time, whatever the unit says.
void tell_busy(const std::string& status, jobs::milliseconds more);

}  // namespace raincheck::proxy::service_manager
