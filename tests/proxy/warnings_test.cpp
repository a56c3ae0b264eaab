#include "proxy/warnings.hpp"

#include <doctest/doctest.h>

using namespace raincheck::proxy;
using namespace std::chrono_literals;

TEST_CASE("of one kind of warning one a minute is written, with how many there were") {
  struct Row {
    std::string_view kind;
    std::chrono::milliseconds at;
    std::optional<std::uint64_t> left_out;
  };
  const Row rows[] = {
      {"a", 0s, 0},    {"a", 0s, std::nullopt},  {"b", 1s, 0},        {"a", 59'999ms, {}},
      {"a", 60s, 2},   {"a", 61s, std::nullopt}, {"b", 60'999ms, {}}, {"b", 61s, 1},
      {"a", 10min, 1}, {"a", 11min, 0},
  };
  WarningLimit limit;
  for (const Row& row : rows) {
    CAPTURE(row.kind);
    CAPTURE(row.at.count());
    CHECK(limit.admit(row.kind, TimePoint(row.at)) == row.left_out);
  }
}
