// What came of each attempt of a job, for people: kept as text of some thirty bytes an attempt, of
// the last ones only. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/job.hpp"

namespace raincheck::jobs {

struct PastAttempt {
  std::uint32_t number = 0;  // two of the same: the first did not count
  milliseconds began{};      // after the job was accepted
  milliseconds took{};
  int status = 0;      // of the answer; 0: none came
  std::string reason;  // a word of the access log: ok, canceled or a fault
  std::string server;  // host:port; empty: none was asked
};

constexpr std::size_t history_max = 20;

// Adds one to what is kept of a job's attempts. Of more than `history_max` the first goes.
void append_attempt(std::string& history, const PastAttempt& attempt);

// In order. What is not an attempt is left out.
std::vector<PastAttempt> read_history(std::string_view history);

}  // namespace raincheck::jobs
