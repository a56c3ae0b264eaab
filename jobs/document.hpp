// The JSON that clients read: the job document and problem+json (RFC 9457). Written by hand into a
// string of the caller's, for they are on the path of every 202. Pure, any thread. Nothing internal
// gets in: an error is one of a fixed set of sentences.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jobs/date.hpp"
#include "jobs/job.hpp"
#include "jobs/text.hpp"

namespace raincheck::jobs {

struct DocumentContext {
  std::string_view id;
  std::string_view status_url;
  std::string_view result_url;
  std::optional<WallTime> completion;  // as estimated; pending jobs only
  WallTime now{};                      // a retry that was due before is not announced
};

void append_document(std::string& out, const Job& job, const DocumentContext& context);

// A sentence for the client on why a job failed.
std::string_view error_detail(ErrorType type);
// The object that a failed job has as its error.
void append_error(std::string& out, ErrorType type);

// The status of the problem that stands for the result of a failed or canceled job without a
// response.
int error_status(ErrorType type);

// `type` is the last word of the URI: "urn:raincheck:problem:" comes before it. Empty `detail` and
// `instance` are left out.
void append_problem(std::string& out,
                    std::string_view type,
                    std::string_view title,
                    int status,
                    std::string_view detail,
                    std::string_view instance,
                    std::string_view errors = {});

}  // namespace raincheck::jobs
