#include "jobs/job.hpp"

namespace raincheck::jobs {

const char* name(State state) {
  switch (state) {
    case State::queued:
      return "queued";
    case State::running:
      return "running";
    case State::succeeded:
      return "succeeded";
    case State::failed:
      return "failed";
    case State::canceled:
      return "canceled";
  }
  return "";
}

const char* name(ErrorType type) {
  switch (type) {
    case ErrorType::none:
      return "none";
    case ErrorType::upstream_status:
      return "upstream_status";
    case ErrorType::upstream_rejected:
      return "upstream_rejected";
    case ErrorType::upstream_unreachable:
      return "upstream_unreachable";
    case ErrorType::upstream_timeout:
      return "upstream_timeout";
    case ErrorType::upstream_protocol_error:
      return "upstream_protocol_error";
    case ErrorType::response_too_large:
      return "response_too_large";
    case ErrorType::outcome_unknown:
      return "outcome_unknown";
    case ErrorType::expired:
      return "expired";
    case ErrorType::route_removed:
      return "route_removed";
    case ErrorType::rewrite_failed:
      return "rewrite_failed";
  }
  return "";
}

}  // namespace raincheck::jobs
