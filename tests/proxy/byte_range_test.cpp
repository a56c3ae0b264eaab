#include "proxy/byte_range.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace raincheck::proxy;
using Kind = RangeAnswer::Kind;

namespace {

// "first+size", "whole" or "416".
std::string chosen(std::string_view value, std::uint64_t size) {
  const RangeAnswer answer = choose_range(value, size);
  if (answer.kind == Kind::whole) return "whole";
  if (answer.kind == Kind::unsatisfiable) return "416";
  return std::to_string(answer.range.first) + "+" + std::to_string(answer.range.size);
}

}  // namespace

TEST_CASE("a range is a first and a last byte, both of them included") {
  CHECK(chosen("bytes=0-0", 10) == "0+1");
  CHECK(chosen("bytes=0-9", 10) == "0+10");
  CHECK(chosen("bytes=3-5", 10) == "3+3");
  CHECK(chosen("bytes=9-9", 10) == "9+1");
}

TEST_CASE("a range that goes beyond the end, or has none, ends with the body") {
  CHECK(chosen("bytes=4-", 10) == "4+6");
  CHECK(chosen("bytes=4-10", 10) == "4+6");
  CHECK(chosen("bytes=9-18446744073709551615", 10) == "9+1");
}

TEST_CASE("a suffix is counted from the end, and may be longer than the body") {
  CHECK(chosen("bytes=-3", 10) == "7+3");
  CHECK(chosen("bytes=-10", 10) == "0+10");
  CHECK(chosen("bytes=-11", 10) == "0+10");
}

TEST_CASE("a range without a byte in the body is not satisfiable") {
  CHECK(chosen("bytes=10-", 10) == "416");
  CHECK(chosen("bytes=10-20", 10) == "416");
  CHECK(chosen("bytes=-0", 10) == "416");
  CHECK(chosen("bytes=0-0", 0) == "416");
  CHECK(chosen("bytes=-1", 0) == "416");
}

TEST_CASE("the unit's case and space around the range do not matter") {
  CHECK(chosen("BYTES=1-2", 10) == "1+2");
  CHECK(chosen("bytes= 1-2 ", 10) == "1+2");
}

TEST_CASE("what is malformed, of another unit or of several ranges is ignored") {
  const std::string_view ignored[] = {
      "",           "bytes",        "bytes=",       "bytes=-",      "bytes=a-b",
      "bytes=1",    "bytes=5-3",    "bytes=1-2,4-", "items=0-1",    "bytes=+1-2",
      "bytes=1--2", "bytes=0x1-",   "bytes=1.0-2",  "bytes = 1-2",  "bytes=1-2x",
      "bytes=--1",  "bytes=1- 2 3", "bytes=1 -2",   "bytes=\t1-2,",
  };
  for (const std::string_view value : ignored) {
    CAPTURE(value);
    CHECK(chosen(value, 10) == "whole");
  }
}

TEST_CASE("a number that does not fit in 64 bits is ignored, and does not wrap around") {
  CHECK(chosen("bytes=18446744073709551616-", 10) == "whole");
  CHECK(chosen("bytes=0-18446744073709551616", 10) == "whole");
  CHECK(chosen("bytes=-18446744073709551616", 10) == "whole");
}

TEST_CASE("If-Range holds for the strong tag or the date that the result has, to the letter") {
  const std::string_view fields =
      "Content-Type: text/plain\r\nETag: \"v1\"\r\n"
      "last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  CHECK(if_range_holds(std::nullopt, fields));
  CHECK(if_range_holds("\"v1\"", fields));
  CHECK_FALSE(if_range_holds("\"v2\"", fields));
  CHECK(if_range_holds("Sun, 06 Nov 1994 08:49:37 GMT", fields));
  CHECK_FALSE(if_range_holds("Mon, 07 Nov 1994 08:49:37 GMT", fields));
}

TEST_CASE("If-Range never holds for a weak tag or for a result without one") {
  CHECK_FALSE(if_range_holds("W/\"v1\"", "ETag: W/\"v1\"\r\n"));
  CHECK_FALSE(if_range_holds("\"v1\"", "ETag: W/\"v1\"\r\n"));
  CHECK_FALSE(if_range_holds("\"v1\"", ""));
  CHECK_FALSE(if_range_holds("\"v1\"", "X-ETag: \"v1\"\r\n"));
}
