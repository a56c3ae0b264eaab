// A job and what a store keeps of it. Plain values. The five states and the error types are the
// same words in the enum, SQL, JSON, metrics and documents.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/id.hpp"

namespace raincheck::jobs {

using std::chrono::milliseconds;
using WallTime = std::chrono::sys_time<milliseconds>;  // what is stored; never a deadline in memory

enum class State : std::uint8_t { queued, running, succeeded, failed, canceled };

constexpr bool is_final(State state) {
  return state >= State::succeeded;
}

enum class ErrorType : std::uint8_t {
  none,
  upstream_status,    // the backend answered >= 400; its response is kept
  upstream_rejected,  // the backend answered, but not with what the route calls a success; its
                      // response is kept
  upstream_unreachable,
  upstream_timeout,
  upstream_protocol_error,
  response_too_large,
  outcome_unknown,  // the request may have been executed and must not be sent again
  expired,          // queue_timeout or job_timeout passed
  route_removed,
  rewrite_failed,  // the backend answered, but the route's rules cannot be applied to its answer
};

const char* name(State state);
const char* name(ErrorType type);

// Bytes of a message: in the row when small, a spool file when large.
struct Body {
  std::string bytes;        // empty when spooled
  std::uint64_t spool = 0;  // number of the spool file; 0: none
  std::uint64_t size = 0;

  static Body inline_bytes(std::string bytes) {
    const std::uint64_t size = bytes.size();
    return Body{std::move(bytes), 0, size};
  }
};

using Digest = std::array<std::uint8_t, 16>;

// An Idempotency-Key within its route and owner, hashed, and what was submitted with it.
struct Key {
  Digest key{};
  Digest fingerprint{};
};

// What a submission writes. `head` is the request to replay: "METHOD target\r\n" and then "Name:
// value\r\n" lines, end-to-end fields only.
struct NewJob {
  Random random{};
  std::uint32_t lane = 0;
  WallTime created_at{};
  WallTime start_by{};   // queue_timeout: must have begun its first attempt; not the epoch
  WallTime finish_by{};  // job_timeout: must be final
  bool may_resend = false;
  bool authorizes_polls = false;  // its route has requests for it authorized
  std::string route;
  std::string request_id;
  std::string head;
  Body body;
  std::optional<Key> key;
  milliseconds retention{};  // how long job and result are kept after the end
  std::string redrive_of;    // id of the failed job that it repeats; empty: none
  std::string labels;        // by which it can be found: jobs/labels.hpp
};

// The backend's answer as it will be replayed. `head` is "Name: value\r\n" lines, end-to-end fields
// only.
struct Response {
  int status = 0;  // 0: no response exists
  std::string head;
  Body body;
};

// A job as a store gives it back. Which members are filled depends on what was asked for; see
// store/command.hpp.
struct Job {
  JobId id;
  State state = State::queued;
  ErrorType error = ErrorType::none;
  std::uint32_t attempt =
      0;  // attempts begun so far that count; the number of the present one while running
  WallTime created_at{};
  WallTime started_at{};   // of the present or last attempt; epoch: none
  WallTime finished_at{};  // epoch: not final
  WallTime expires_at{};   // when a final job is erased
  WallTime due_at{};       // queued: not before; epoch: at once
  WallTime start_by{};
  WallTime finish_by{};
  bool may_resend = false;
  bool authorizes_polls = false;
  std::string route;
  std::string request_id;
  std::string head;     // the request
  std::string monitor;  // jobs::Monitor as text; empty: the backend does not go on with the call
  std::string history;  // of its attempts: jobs/history.hpp
  std::string redrive_of;
  std::string labels;
  Body body;
  Response response;
  std::uint64_t ahead = 0;  // queued: jobs of its lane before it
};

}  // namespace raincheck::jobs
