// The program's two logs: its own on standard error, and access lines (access_log.hpp) on standard
// output. Main thread, unless it is said otherwise.
#pragma once

#include <memory>

#include "config/load.hpp"

namespace spdlog {
class logger;
}

namespace raincheck::proxy {

// Human on a terminal, "<N>" priorities for journald, JSON on request.
void open_program_log(const config::Log& log);
// What is wrong with a configuration that the program is started with.
void tell_problems(const config::Loaded& loaded);
// Null: it is off.
std::shared_ptr<spdlog::logger> open_access_log(const config::AccessLog& access);
// Of the program log, from now on. Any thread.
void set_log_level(config::LogLevel level);
// Before leaving: what was logged is written. False: whoever reads the access lines has not taken
// them for a second, and only std::_Exit() does not wait for that.
[[nodiscard]] bool close_logs();

}  // namespace raincheck::proxy
