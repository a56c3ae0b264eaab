// What documents of a route may speak of beside the request: a job and an error, in the vocabulary
// of jobs/document.hpp. Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace raincheck::routes {

enum class DocumentName : std::uint8_t {
  job_status,  // the route's word for it
  job_status_url,
  job_result_url,
  job_created_at,
  job_started_at,  // of the present or last attempt
  job_ended_at,
  job_attempts,
  job_queue_position,  // of a queued one
  job_retry_after,     // in seconds, as in the field; of one that has not ended
  job_estimated_completion_at,
  job_error_type,  // of a failed one
  job_error_detail,
  error_type,  // the last word of the problem's type
  error_title,
  error_detail,
  error_status,
  error_instance,
  error_errors,  // a JSON array: each thing that is wrong with a request
};

struct DocumentWord {
  std::string_view text;
  DocumentName name;
  bool is_number;
};

// In the order of the names.
constexpr std::array<DocumentWord, 18> document_words = {{
    {"job.status", DocumentName::job_status, false},
    {"job.status_url", DocumentName::job_status_url, false},
    {"job.result_url", DocumentName::job_result_url, false},
    {"job.created_at", DocumentName::job_created_at, false},
    {"job.started_at", DocumentName::job_started_at, false},
    {"job.ended_at", DocumentName::job_ended_at, false},
    {"job.attempts", DocumentName::job_attempts, true},
    {"job.queue_position", DocumentName::job_queue_position, true},
    {"job.retry_after", DocumentName::job_retry_after, true},
    {"job.estimated_completion_at", DocumentName::job_estimated_completion_at, false},
    {"job.error.type", DocumentName::job_error_type, false},
    {"job.error.detail", DocumentName::job_error_detail, false},
    {"error.type", DocumentName::error_type, false},
    {"error.title", DocumentName::error_title, false},
    {"error.detail", DocumentName::error_detail, false},
    {"error.status", DocumentName::error_status, true},
    {"error.instance", DocumentName::error_instance, false},
    {"error.errors", DocumentName::error_errors, false},
}};

constexpr bool is_of_error(DocumentName name) {
  return name >= DocumentName::error_type;
}

// Empty: there is none.
class DocumentValues {
 public:
  std::string& operator[](DocumentName name) { return texts_[static_cast<std::size_t>(name)]; }
  const std::string& operator[](DocumentName name) const {
    return texts_[static_cast<std::size_t>(name)];
  }

 private:
  std::array<std::string, document_words.size()> texts_;
};

}  // namespace raincheck::routes
