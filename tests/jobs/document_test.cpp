#include "jobs/document.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace raincheck::jobs;
using namespace std::chrono_literals;

namespace {

constexpr WallTime created{milliseconds(1'772'357'400'125)};  // 2026-03-01T09:30:00.125Z

const std::string begin = R"({"id":"abc","status":")";
const std::string urls = R"(","statusUrl":"/_jobs/abc","resultUrl":"/_jobs/abc/result")"
                         R"(,"createdAt":"2026-03-01T09:30:00.125Z")";

DocumentContext context() {
  DocumentContext context;
  context.id = "abc";
  context.status_url = "/_jobs/abc";
  context.result_url = "/_jobs/abc/result";
  context.now = created + 5s;
  return context;
}

Job job(State state) {
  Job job;
  job.state = state;
  job.created_at = created;
  return job;
}

std::string document(const Job& of, const DocumentContext& in = context()) {
  std::string out;
  append_document(out, of, in);
  return out;
}

constexpr ErrorType errors[] = {
    ErrorType::upstream_status,         ErrorType::upstream_rejected,
    ErrorType::upstream_unreachable,    ErrorType::upstream_timeout,
    ErrorType::upstream_protocol_error, ErrorType::response_too_large,
    ErrorType::outcome_unknown,         ErrorType::expired,
    ErrorType::route_removed,           ErrorType::rewrite_failed,
};

}  // namespace

TEST_CASE("the document of a new job tells its place in the queue") {
  CHECK(document(job(State::queued)) == begin + "queued" + urls + R"(,"queuePosition":1})");
  Job behind = job(State::queued);
  behind.ahead = 41;
  DocumentContext known = context();
  known.completion = created + 90s;
  CHECK(document(behind, known) ==
        begin + "queued" + urls +
            R"(,"queuePosition":42,"estimatedCompletionAt":"2026-03-01T09:31:30.125Z"})");
}

TEST_CASE("the document of a redriven job names the job that it repeats") {
  Job again = job(State::queued);
  again.redrive_of = "original";
  CHECK(document(again) ==
        begin + "queued" + urls + R"(,"redriveOf":"original","queuePosition":1})");
}

TEST_CASE("the document of a job that waits for a retry tells when, until then") {
  Job retried = job(State::queued);
  retried.attempt = 2;
  retried.started_at = created + 1s;
  retried.due_at = created + 10s;
  CHECK(document(retried) ==
        begin + "queued" + urls +
            R"(,"queuePosition":1,"attempts":2,"nextAttemptAt":"2026-03-01T09:30:10.125Z"})");
  retried.due_at = created + 5s;
  CHECK(document(retried) == begin + "queued" + urls + R"(,"queuePosition":1,"attempts":2})");
}

TEST_CASE("the document of a running job tells since when") {
  Job running = job(State::running);
  running.attempt = 1;
  running.started_at = created + 1s;
  running.due_at = created + 9s;
  DocumentContext known = context();
  known.completion = created + 90s;
  CHECK(document(running, known) == begin + "running" + urls +
                                        R"(,"startedAt":"2026-03-01T09:30:01.125Z","attempts":1)"
                                        R"(,"estimatedCompletionAt":"2026-03-01T09:31:30.125Z"})");
}

TEST_CASE("the document of a final job tells how it ended and how long it stays") {
  Job done = job(State::succeeded);
  done.attempt = 1;
  done.started_at = created + 1s;
  done.finished_at = created + 2s;
  done.expires_at = created + 24h;
  done.response.status = 200;
  DocumentContext known = context();
  known.completion = created + 90s;
  const std::string times =
      R"(,"startedAt":"2026-03-01T09:30:01.125Z","attempts":1)"
      R"(,"finishedAt":"2026-03-01T09:30:02.125Z","expiresAt":"2026-03-02T09:30:00.125Z")";
  CHECK(document(done, known) == begin + "succeeded" + urls + times + R"(,"responseStatus":200})");

  done.state = State::failed;
  done.error = ErrorType::upstream_status;
  done.response.status = 404;
  CHECK(document(done) ==
        begin + "failed" + urls + times +
            R"(,"responseStatus":404,"error":{"type":"upstream_status","detail":)"
            R"("The backend answered with an error; its response is the result."}})");

  done.error = ErrorType::outcome_unknown;
  done.response.status = 0;
  CHECK(document(done) ==
        begin + "failed" + urls + times +
            R"(,"error":{"type":"outcome_unknown","detail":)"
            R"("The call may or may not have been executed, and must not be sent again."}})");
}

TEST_CASE("a job canceled before it started has no start and no error") {
  Job canceled = job(State::canceled);
  canceled.finished_at = created + 2s;
  canceled.expires_at = created + 24h;
  CHECK(document(canceled) == begin + "canceled" + urls +
                                  R"(,"attempts":0,"finishedAt":"2026-03-01T09:30:02.125Z")"
                                  R"(,"expiresAt":"2026-03-02T09:30:00.125Z"})");
}

TEST_CASE("a document is appended and its URLs are escaped") {
  DocumentContext odd = context();
  odd.status_url = "http://a/\"b\\";
  std::string out = "before";
  append_document(out, job(State::queued), odd);
  CHECK(out.starts_with(R"(before{"id":"abc")"));
  CHECK(out.find(R"("statusUrl":"http://a/\"b\\")") != std::string::npos);
}

TEST_CASE("every error has a sentence of its own and a status of a server's error") {
  std::set<std::string_view> sentences;
  for (const ErrorType type : errors) {
    CAPTURE(std::string(name(type)));
    const std::string_view detail = error_detail(type);
    CHECK(detail.ends_with('.'));
    CHECK(detail.find_first_of("\"\\") == std::string_view::npos);
    CHECK(sentences.insert(detail).second);
    const int status = error_status(type);
    CHECK((status == 500 || status == 502 || status == 504));
  }
  CHECK(error_status(ErrorType::upstream_timeout) == 504);
  CHECK(error_status(ErrorType::expired) == 504);
  CHECK(error_status(ErrorType::route_removed) == 500);
  CHECK(error_status(ErrorType::upstream_unreachable) == 502);
}

TEST_CASE("a problem has a stable type, and what is empty is left out") {
  std::string out;
  append_problem(out, "not_found", "Not Found", 404, "", "");
  CHECK(out == R"({"type":"urn:raincheck:problem:not_found","title":"Not Found","status":404})");
  out.clear();
  append_problem(out, "key_reused", "Unprocessable Content", 422, "Say \"no\".", "/_jobs/abc");
  CHECK(
      out ==
      R"({"type":"urn:raincheck:problem:key_reused","title":"Unprocessable Content","status":422,)"
      R"("detail":"Say \"no\".","instance":"/_jobs/abc"})");
}
