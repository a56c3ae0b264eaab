#include "proxy/job_report.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace raincheck;
using namespace raincheck::proxy;

namespace {

jobs::Job a_job() {
  jobs::Job job;
  job.state = jobs::State::failed;
  job.error = jobs::ErrorType::expired;
  job.attempt = 2;
  job.created_at = jobs::WallTime(jobs::milliseconds(1'000));
  job.route = "reports";
  job.request_id = "r-1";
  job.head = "POST /a?b HTTP\r\nclient_certificate_subject: CN=me\r\nHost: h\r\ncookie: secret\r\n";
  job.body.size = 3;
  job.history = "1 0 10 503 ok s:1\n2 20 0 0 lost \n";
  return job;
}

std::string report_of(const jobs::Job& job, bool in_detail) {
  JobReport report;
  report.id = "ID";
  report.upstream = "legacy";
  report.now = jobs::WallTime(jobs::milliseconds(8'999));
  report.in_detail = in_detail;
  std::string out;
  append_report(out, job, report);
  return out;
}

constexpr std::string_view brief =
    R"({"id":"ID","status":"failed","route":"reports","upstream":"legacy","requestId":"r-1",)"
    R"("createdAt":"1970-01-01T00:00:01.000Z","age":7,"attempts":2,)"
    R"("error":{"type":"expired","detail":"The job could not be done within its time limit."})";

}  // namespace

TEST_CASE("a job is told in brief, or with its request and its attempts") {
  CHECK(report_of(a_job(), false) == std::string(brief) + "}");
  CHECK(report_of(a_job(), true) ==
        std::string(brief) +
            R"(,"request":{"line":"POST /a?b HTTP","fields":["Host: h","cookie: ***"],"bytes":3},)"
            R"("history":[{"attempt":1,"startedAt":"1970-01-01T00:00:01.000Z",)"
            R"("endedAt":"1970-01-01T00:00:01.010Z","server":"s:1","responseStatus":503,)"
            R"("reason":"ok"},{"attempt":2,"startedAt":"1970-01-01T00:00:01.020Z",)"
            R"("reason":"lost"}]})");
}

TEST_CASE("a job is told with its labels, as they are") {
  jobs::Job job = a_job();
  job.labels = "customer=17\nnote=a=\"b\"\n";
  CHECK(report_of(job, false)
            .find(R"("requestId":"r-1","labels":{"customer":"17","note":"a=\"b\""},"createdAt")") !=
        std::string::npos);
}

TEST_CASE("credentials are known by their names, however they are written") {
  for (const char* name : {"Authorization",
                           "COOKIE",
                           "set-cookie",
                           "Proxy-Authorization",
                           "X-API-Key",
                           "apikey",
                           "X-Auth-Token",
                           "refresh_token",
                           "id_token",
                           "X-Amz-Signature",
                           "X-Amz-Credential",
                           "client.secret",
                           "%74oken",
                           "api+key",
                           "key",
                           "sig",
                           "PASSWORD",
                           "Ocp-Apim-Subscription-Key",
                           "AWSAccessKeyId",
                           "X-JWT-Assertion",
                           "X-Auth",
                           "X-User-Pass",
                           "bearer",
                           "passphrase"}) {
    CAPTURE(name);
    CHECK(is_credential(name));
  }
  for (const char* name : {"Cookies", "", "Idempotency-Key", "keyword", "author", "signal",
                           "passage", "If-None-Match", "postcode", "Keep-Alive", "Authority"}) {
    CAPTURE(name);
    CHECK_FALSE(is_credential(name));
  }
}

TEST_CASE("credentials of a query are left out, and nothing else of it") {
  const auto line_of = [](std::string_view target) {
    jobs::Job job = a_job();
    job.head = std::string("GET ").append(target).append("\r\nHost: h\r\n");
    const std::string report = report_of(job, true);
    const std::string before = R"("line":"GET )";
    const std::size_t begin = report.find(before) + before.size();
    return report.substr(begin, report.find('"', begin) - begin);
  };
  struct Case {
    const char* target;
    const char* shown;
  };
  for (const Case& each : std::vector<Case>{
           {"/a", "/a"},
           {"/a?", "/a?"},
           {"/a?b=1&&c", "/a?b=1&&c"},
           {"/a?token=x", "/a?token=***"},
           {"/a?b=1&API_KEY=x=y&c=2", "/a?b=1&API_KEY=***&c=2"},
           {"/a?tok=x&key", "/a?tok=x&key=***"},
           {"/a?%74oken=x", "/a?%74oken=***"},
           {"/a?sig=", "/a?sig=***"},
           {"/token=x?", "/token=x?"},
       }) {
    CAPTURE(each.target);
    CHECK(line_of(each.target) == each.shown);
  }
}
