#include "jobs/monitor.hpp"

#include <doctest/doctest.h>

using raincheck::jobs::Monitor;

TEST_CASE("a monitor comes back from its text as it was") {
  const Monitor monitors[] = {
      {"10.0.0.1:8080", "/operations/7?v=1", ""},
      {"10.0.0.1:8080", "/operations/7", "/reports/7"},
      {"", "/operations/7", ""},
  };
  for (const Monitor& monitor : monitors) {
    CAPTURE(monitor.text());
    CHECK(Monitor::parse(monitor.text()) == monitor);
  }
}

TEST_CASE("a text that is no monitor's is none") {
  for (const char* const text :
       {"", " ", "/operations/7", "10.0.0.1 /operations/7", "10.0.0.1  /x"}) {
    CAPTURE(text);
    CHECK_FALSE(Monitor::parse(text));
  }
}
