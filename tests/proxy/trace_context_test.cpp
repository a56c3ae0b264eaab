#include "proxy/trace_context.hpp"

#include <doctest/doctest.h>

#include <string>

#include "proxy/fields.hpp"
#include "proxy/request_parser.hpp"

using namespace raincheck::proxy;

namespace {

const std::string trace = "0af7651916cd43dd8448eb211c80319c";
const std::string valid = "00-" + trace + "-b7ad6b7169203331-01";

Identity identity_of(std::string_view traceparent) {
  Identity identity;
  identity.client_address = "192.0.2.1";
  identity.scheme = "http";
  identity.pseudonym = "raincheck";
  identity.request_id_header = "X-Request-Id";
  identity.traceparent = traceparent;
  return identity;
}

// What a backend gets of the trace.
std::string told(const std::string& fields, std::string_view made = "") {
  const std::string bytes = "GET /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  RequestParser parser;
  REQUIRE(parser.parse(bytes, {}) == Parse::done);
  std::string lines;
  append_request_fields(lines, parser.head(), identity_of(made));
  Fields written;
  written.assign(lines);
  std::string out;
  for (const Field& field : written) {
    if (is_same_name(field.name, "traceparent") || is_same_name(field.name, "tracestate")) {
      out.append(field.name).append(": ").append(field.value).append("\n");
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a traceparent is read as W3C Trace Context says") {
  const std::string good[] = {
      valid,
      "00-" + trace + "-b7ad6b7169203331-00",
      "00-" + trace + "-b7ad6b7169203331-ff",
      "cc-" + trace + "-b7ad6b7169203331-01",
      "cc-" + trace + "-b7ad6b7169203331-01-what-comes-later",
  };
  for (const std::string& value : good) {
    CAPTURE(value);
    CHECK(trace_id_in(value) == trace);
  }
  const std::string bad[] = {
      "",
      "00",
      valid.substr(0, 54),
      valid + "0",
      valid + "-x",
      "cc" + valid.substr(2) + "x",
      "ff" + valid.substr(2),
      "0G" + valid.substr(2),
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-" + trace + "-0000000000000000-01",
      "00-" + trace + "-B7AD6B7169203331-01",
      "00-" + trace + "-b7ad6b7169203331-0x",
      "00_" + trace + "-b7ad6b7169203331-01",
      "00-" + trace + "_b7ad6b7169203331-01",
      "00-" + trace + "-b7ad6b7169203331_01",
  };
  for (const std::string& value : bad) {
    CAPTURE(value);
    CHECK(trace_id_in(value) == "");
  }
}

TEST_CASE("a valid trace goes on as it came, and one that is not is dropped with its state") {
  const std::string parent = "traceparent: " + valid + "\r\n";
  const std::string both = "Traceparent: " + valid + "\r\nTraceState: a=1\r\ntracestate: b=2\r\n";
  CHECK(told(both) == "Traceparent: " + valid + "\nTraceState: a=1\ntracestate: b=2\n");
  CHECK(told("tracestate: a=1\r\n") == "");
  CHECK(told("traceparent: nonsense\r\ntracestate: a=1\r\n") == "");
  CHECK(told(parent + parent + "tracestate: a=1\r\n") == "");
  CHECK(told("Connection: traceparent\r\n" + parent + "tracestate: a=1\r\n") == "");
}

TEST_CASE("a trace that we begin stands where there is no valid one") {
  const std::string made = "00-11111111111111111111111111111111-2222222222222222-01";
  const std::string line = "traceparent: " + made + "\n";
  CHECK(told("", made) == line);
  CHECK(told("traceparent: nonsense\r\ntracestate: a=1\r\n", made) == line);
  CHECK(told("traceparent: " + valid + "\r\n", made) == "traceparent: " + valid + "\n");
  CHECK(told("Connection: TraceParent\r\ntraceparent: " + valid + "\r\n", made) == line);
}

TEST_CASE("a trace that Connection names is none") {
  const auto trace_of = [](const std::string& lines) {
    Fields fields;
    fields.assign(lines);
    return std::string(trace_id_of(fields));
  };
  const std::string parent = "traceparent: " + valid + "\r\n";
  CHECK(trace_of("Connection: close\r\n" + parent) == trace);
  CHECK(trace_of("Connection: close, TraceParent\r\n" + parent) == "");
  CHECK(trace_of(parent + "Connection: x\r\nConnection: traceparent\r\n") == "");
}

TEST_CASE("a trace that we begin is valid, whatever the random bytes are") {
  std::array<std::uint8_t, 24> random{};
  CHECK(make_traceparent(random) == "00-00000000000000000000000000000001-0000000000000001-01");
  CHECK(!trace_id_in(make_traceparent(random)).empty());
  random.fill(0xfe);
  CHECK(make_traceparent(random) == "00-fefefefefefefefefefefefefefefeff-fefefefefefefeff-01");
}

TEST_CASE("the trace of a job is found in what is kept of its request") {
  CHECK(trace_id_of("POST /x\r\nA: b\r\ntraceparent: " + valid + "\r\n") == trace);
  CHECK(trace_id_of("POST /x\r\n") == "");
}
