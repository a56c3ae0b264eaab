#include "jobs/document.hpp"

namespace raincheck::jobs {
namespace {

// Every member but the first, whose comma would be one too many.
void append_name(std::string& out, std::string_view name) {
  out += ",\"";
  out += name;
  out += "\":";
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  append_name(out, name);
  append_json_string(out, value);
}

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  append_name(out, name);
  append_number(out, value);
}

void append_member(std::string& out, std::string_view name, WallTime value) {
  append_name(out, name);
  out += '"';
  append_time(out, value);
  out += '"';
}

void append_time_if_set(std::string& out, std::string_view name, WallTime value) {
  if (value != WallTime{}) append_member(out, name, value);
}

void append_final(std::string& out, const Job& job) {
  append_time_if_set(out, "finishedAt", job.finished_at);
  append_time_if_set(out, "expiresAt", job.expires_at);
  if (job.response.status > 0) {
    append_member(out, "responseStatus", static_cast<std::uint64_t>(job.response.status));
  }
  if (job.state != State::failed) return;
  append_name(out, "error");
  out += "{\"type\":\"";
  out += name(job.error);
  out += "\",\"detail\":\"";
  out += error_detail(job.error);
  out += "\"}";
}

}  // namespace

void append_document(std::string& out, const Job& job, const DocumentContext& context) {
  out += "{\"id\":";
  append_json_string(out, context.id);
  append_member(out, "status", std::string_view(name(job.state)));
  append_member(out, "statusUrl", context.status_url);
  append_member(out, "resultUrl", context.result_url);
  append_member(out, "createdAt", job.created_at);
  if (!job.redrive_of.empty()) append_member(out, "redriveOf", job.redrive_of);
  if (job.state == State::queued) {
    append_member(out, "queuePosition", job.ahead + 1);
    if (job.attempt > 0) append_member(out, "attempts", std::uint64_t{job.attempt});
    if (job.due_at > context.now) append_member(out, "nextAttemptAt", job.due_at);
  } else {
    append_time_if_set(out, "startedAt", job.started_at);
    append_member(out, "attempts", std::uint64_t{job.attempt});
  }
  if (is_final(job.state)) {
    append_final(out, job);
  } else if (context.completion) {
    append_member(out, "estimatedCompletionAt", *context.completion);
  }
  out += '}';
}

std::string_view error_detail(ErrorType type) {
  switch (type) {
    case ErrorType::none:
      return "";
    case ErrorType::upstream_status:
      return "The backend answered with an error; its response is the result.";
    case ErrorType::upstream_rejected:
      return "The backend answered, but not with a success; its response is the result.";
    case ErrorType::upstream_unreachable:
      return "The backend could not be reached.";
    case ErrorType::upstream_timeout:
      return "The backend did not answer in time.";
    case ErrorType::upstream_protocol_error:
      return "The backend's answer was not valid HTTP or was cut short.";
    case ErrorType::response_too_large:
      return "The backend's response is larger than allowed.";
    case ErrorType::outcome_unknown:
      return "The call may or may not have been executed, and must not be sent again.";
    case ErrorType::expired:
      return "The job could not be done within its time limit.";
    case ErrorType::route_removed:
      return "The job's route is not configured any more.";
    case ErrorType::rewrite_failed:
      return "The backend's response cannot be changed as its route demands.";
  }
  return "";
}

int error_status(ErrorType type) {
  switch (type) {
    case ErrorType::none:
    case ErrorType::outcome_unknown:
    case ErrorType::route_removed:
      return 500;
    case ErrorType::upstream_status:
    case ErrorType::upstream_rejected:
    case ErrorType::upstream_unreachable:
    case ErrorType::upstream_protocol_error:
    case ErrorType::response_too_large:
    case ErrorType::rewrite_failed:
      return 502;
    case ErrorType::upstream_timeout:
    case ErrorType::expired:
      return 504;
  }
  return 500;
}

void append_problem(std::string& out,
                    std::string_view type,
                    std::string_view title,
                    int status,
                    std::string_view detail,
                    std::string_view instance,
                    std::string_view errors) {
  out += "{\"type\":\"urn:raincheck:problem:";
  out += type;
  out += '"';
  append_member(out, "title", title);
  append_member(out, "status", static_cast<std::uint64_t>(status));
  if (!detail.empty()) append_member(out, "detail", detail);
  if (!instance.empty()) append_member(out, "instance", instance);
  if (!errors.empty()) {
    append_name(out, "errors");
    out += errors;
  }
  out += '}';
}

}  // namespace raincheck::jobs
