#include "proxy/accept.hpp"

#include <doctest/doctest.h>

using raincheck::proxy::Field;
using raincheck::proxy::Fields;
using raincheck::proxy::prefers_event_stream;

namespace {

bool prefers(std::initializer_list<std::string_view> values) {
  Fields fields;
  for (const std::string_view value : values) fields.push_back(Field{"accept", value});
  return prefers_event_stream(fields);
}

}  // namespace

TEST_CASE("an event stream is for who asks for it by name") {
  for (const char* yes :
       {"text/event-stream", "TEXT/Event-Stream", "text/event-stream;q=0.001",
        "text/event-stream ; charset=utf-8 ; Q=1.000", "text/html, text/event-stream",
        "text/event-stream, */*", "text/event-stream, application/json", ",,text/event-stream,",
        "text/event-stream;q=0.5, application/json;q=0.4, */*",
        "text/event-stream;q=0.5, application/*;q=0.5, */*", "text/event-stream;a=\"b,c;q=0\"",
        "text/event-stream;q=0.5, application/json;q=0"}) {
    CAPTURE(yes);
    CHECK(prefers({yes}));
  }
  for (const char* no : {"",
                         "*/*",
                         "text/*",
                         "text/event-streams",
                         "text/event-stream;q=0",
                         "text/event-stream; q=0.000",
                         "text/event-stream;q=0.5, */*",
                         "application/*, text/event-stream;q=0.9",
                         "text/event-stream;q=0.3,application/json;q=0.4",
                         "a/b;c=\"d, text/event-stream\"",
                         "a/b;c=\"\\\", text/event-stream\"",
                         "a/b;c=\"",
                         "a/b;c=\"\\",
                         "text/event-stream;q=2",
                         "text/event-stream;q=1.001",
                         "text/event-stream;q=.5",
                         "text/event-stream;q=0.1234",
                         "text/event-stream;q=-1",
                         "text/event-stream;q=",
                         "text/event-stream;q"}) {
    CAPTURE(no);
    CHECK_FALSE(prefers({no}));
  }
  CHECK_FALSE(prefers({}));
  CHECK(prefers({"text/html", "text/event-stream"}));
  CHECK_FALSE(prefers({"text/event-stream;q=0.1", "application/json"}));
}
