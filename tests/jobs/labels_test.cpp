#include "jobs/labels.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace raincheck::jobs;
using namespace std::string_view_literals;

TEST_CASE("labels are taken off as they were put on") {
  std::string labels;
  append_label(labels, "customer", "17");
  append_label(labels, "note", "a = b");
  std::string_view rest = labels;
  CHECK(take_label(rest) == "customer=17");
  CHECK(take_label(rest) == "note=a = b");
  CHECK(rest.empty());
}

TEST_CASE("a label's value is a text of one line, neither empty nor too long") {
  for (const std::string& good :
       {std::string("17"), std::string(" a b "), std::string("=;\"'\\"),
        std::string("\u00e4\u00a0\u20ac"), std::string(label_value_max, 'x')}) {
    CAPTURE(good);
    CHECK(is_label_value(good));
  }
  for (const std::string_view bad :
       {""sv, "a\nb"sv, "\n"sv, "a\rb"sv, "a\tb"sv, "\0"sv, "a\x1f"sv, "a\x7f"sv, "\xc2\x80"sv,
        "a\xc2\x9f"sv, "\xff"sv, "\xc3"sv, "a\xed\xa0\x80"sv}) {
    CAPTURE(bad);
    CHECK_FALSE(is_label_value(bad));
  }
  CHECK_FALSE(is_label_value(std::string(label_value_max + 1, 'x')));
}
