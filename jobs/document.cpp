#include "jobs/document.hpp"

#include "jobs/json_object.hpp"

namespace raincheck::jobs {
namespace {

void append_final(JsonObject& document, std::string& out, const Job& job) {
  document.time_if_set("finishedAt", job.finished_at);
  document.time_if_set("expiresAt", job.expires_at);
  if (job.response.status > 0) {
    document.number("responseStatus", static_cast<std::uint64_t>(job.response.status));
  }
  if (job.state != State::failed) return;
  document.member("error");
  append_error(out, job.error);
}

}  // namespace

void append_error(std::string& out, ErrorType type) {
  JsonObject error(out);
  error.text("type", name(type));
  error.text("detail", error_detail(type));
}

void append_document(std::string& out, const Job& job, const DocumentContext& context) {
  JsonObject document(out);
  document.text("id", context.id);
  document.text("status", name(job.state));
  document.text("statusUrl", context.status_url);
  document.text("resultUrl", context.result_url);
  document.time("createdAt", job.created_at);
  document.text_if_set("redriveOf", job.redrive_of);
  if (job.state == State::queued) {
    document.number("queuePosition", job.ahead + 1);
    if (job.attempt > 0) document.number("attempts", job.attempt);
    if (job.due_at > context.now) document.time("nextAttemptAt", job.due_at);
  } else {
    document.time_if_set("startedAt", job.started_at);
    document.number("attempts", job.attempt);
  }
  if (is_final(job.state)) {
    append_final(document, out, job);
  } else if (context.completion) {
    document.time("estimatedCompletionAt", *context.completion);
  }
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
  JsonObject problem(out);
  problem.member("type");
  out.append("\"urn:raincheck:problem:").append(type).append("\"");
  problem.text("title", title);
  problem.number("status", static_cast<std::uint64_t>(status));
  problem.text_if_set("detail", detail);
  problem.text_if_set("instance", instance);
  if (errors.empty()) return;
  problem.member("errors");
  out += errors;
}

}  // namespace raincheck::jobs
