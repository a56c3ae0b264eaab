// The Prefer request field (RFC 7240): what a client asks of a submission or a poll. Pure, any
// thread. Unknown preferences and malformed ones are ignored, as the RFC wants; they are never an
// error.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::jobs {

struct Prefer {
  bool respond_async = false;
  std::optional<milliseconds> wait;  // wait=N
  bool wait_without_value = false;   // a bare "wait", which some clients send
};

constexpr milliseconds prefer_wait_max = std::chrono::hours(24);

// The values of all the Prefer fields of a request, in order. The first of duplicates counts.
Prefer parse_prefer(std::span<const std::string_view> values);

}  // namespace raincheck::jobs
