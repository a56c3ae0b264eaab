// What happens to a job after an attempt: the only place that retries, and the keeper of the rule
// that nothing which may have been executed is sent again unless that is allowed. Pure functions,
// called on the upstream's shard; they read no clock and throw no dice: the jitter is a hash.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/error.hpp"
#include "jobs/job.hpp"

namespace raincheck::jobs {

// What a route says about success and retries.
struct Rules {
  std::uint32_t max_attempts = 3;  // the first is counted
  bool on_connect_failure = true;
  bool on_timeout = false;
  std::vector<int> on_status{502, 503, 504, 429};
  milliseconds backoff{1000};
  milliseconds max_backoff{60000};
  std::vector<std::pair<int, int>> success{{200, 399}};  // first and last status
};

// What came of an attempt.
struct Outcome {
  std::optional<Fault> fault;  // none: a whole response came
  int status = 0;
  bool sent = false;  // a byte of the request was written
  std::optional<milliseconds> retry_after;
  bool rejected = false;  // the answer is no success, whatever its status says
  bool astray = false;    // it says to ask where the backend is not
};

struct Attempt {
  std::uint32_t number = 1;
  bool may_resend = false;
  WallTime now{};
  WallTime start_by{};     // queue_timeout
  WallTime finish_by{};    // job_timeout
  std::uint64_t seed = 0;  // of the jitter: a hash of the job's id
  bool followed = false;   // the backend goes on with the call: it is asked, and nothing sent again
};

struct Decision {
  enum class Action : std::uint8_t {
    finish,
    requeue,
    ask,  // followed: once more, later, as long as the attempt goes on
  };
  Action action = Action::finish;
  State state = State::failed;  // finish: the final state; requeue: queued
  ErrorType error = ErrorType::none;
  WallTime due_at{};           // requeue: not before
  bool counts = true;          // requeue: the attempt is not given back
  bool hold_upstream = false;  // the upstream is not available: hold back its lanes, then probe
  milliseconds hold_for{0};    // 0: the dispatcher's own probing interval
  bool keep_response = false;  // finish: the response is the job's result
};

Decision decide(const Outcome& outcome, const Attempt& attempt, const Rules& rules);

// For a job found running after a crash: nobody knows how far its attempt came, unless the backend
// goes on with the call and can be asked. The attempt counts.
Decision decide_orphan(bool may_resend, bool followed, WallTime now);

// Retry-After as seconds or as any of the three HTTP-dates: the time from `now`, from 0 to 24 h.
// Nothing when it is neither.
std::optional<milliseconds> parse_retry_after(std::string_view value, WallTime now);

}  // namespace raincheck::jobs
