#include "jobs/date.hpp"

#include <doctest/doctest.h>

#include <ctime>
#include <string>

using namespace raincheck::jobs;
using namespace std::chrono;

namespace {

WallTime at(int y, unsigned m, unsigned d, int hh = 0, int mm = 0, int ss = 0, int ms = 0) {
  return sys_days(year(y) / month(m) / day(d)) + hours(hh) + minutes(mm) + seconds(ss) +
         milliseconds(ms);
}

std::string rfc3339(WallTime time) {
  std::string out;
  append_time(out, time);
  return out;
}

}  // namespace

TEST_CASE("times are written as RFC 3339 with milliseconds, leap days and last moments too") {
  CHECK(rfc3339({}) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(at(1999, 12, 31, 23, 59, 59, 999)) == "1999-12-31T23:59:59.999Z");
  CHECK(rfc3339(at(2000, 2, 29, 1, 2, 3, 4)) == "2000-02-29T01:02:03.004Z");
  CHECK(rfc3339(at(2024, 2, 29)) == "2024-02-29T00:00:00.000Z");
  CHECK(rfc3339(at(2100, 3, 1, 12)) == "2100-03-01T12:00:00.000Z");
  CHECK(rfc3339(at(9999, 12, 31, 23, 59, 59, 999)) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("times that no four digits of a year can say are clamped") {
  CHECK(rfc3339(WallTime(milliseconds(-1))) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(at(10000, 1, 1)) == "9999-12-31T23:59:59.999Z");
  CHECK(rfc3339(WallTime::max()) == "9999-12-31T23:59:59.999Z");
  CHECK(http_date(WallTime::min()) == "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_CASE("HTTP dates are IMF-fixdates of a fixed length") {
  CHECK(http_date(at(1994, 11, 6, 8, 49, 37, 999)) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(http_date(at(9999, 12, 31, 23, 59, 59)) == "Fri, 31 Dec 9999 23:59:59 GMT");
  std::string out = "Date: ";
  append_http_date(out, at(2026, 3, 1));
  CHECK(out == "Date: Sun, 01 Mar 2026 00:00:00 GMT");
  CHECK(http_date(at(2026, 3, 1)).size() == http_date_chars);
}

TEST_CASE("dates agree with the C library from 1970 to 9999") {
  for (sys_days day{}; day < sys_days(year(10000) / 1 / 1); day += days(17)) {
    const WallTime time = day + seconds(day.time_since_epoch().count() % 86400);
    const std::time_t t = floor<seconds>(time).time_since_epoch().count();
    std::tm tm{};
    gmtime_r(&t, &tm);
    char want[40];
    std::strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
    if (rfc3339(time) != want) FAIL_CHECK(want);
    std::strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (http_date(time) != want) FAIL_CHECK(want);
    if (parse_http_date(want, {}) != time) FAIL_CHECK(want);
  }
}

TEST_CASE("all three forms of an HTTP-date are read") {
  const WallTime now = at(2026, 3, 1);
  const WallTime want = at(1994, 11, 6, 8, 49, 37);
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", now) == want);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now) == want);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994", now) == want);
  CHECK(parse_http_date("Wed Nov 16 08:49:37 1994", now) == at(1994, 11, 16, 8, 49, 37));
}

TEST_CASE("a leap second is read as the next second, and the name of the day need not fit") {
  CHECK(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", {}) == at(2017, 1, 1));
  CHECK(parse_http_date("Mon, 31 Dec 2016 23:59:59 GMT", {}) == at(2016, 12, 31, 23, 59, 59));
}

TEST_CASE("a year of two digits is at most fifty years ahead") {
  const WallTime now = at(2026, 3, 1);
  CHECK(parse_http_date("Sunday, 01-Mar-76 00:00:00 GMT", now) == at(2076, 3, 1));
  CHECK(parse_http_date("Tuesday, 01-Mar-77 00:00:00 GMT", now) == at(1977, 3, 1));
  CHECK(parse_http_date("Sunday, 01-Mar-26 00:00:00 GMT", now) == at(2026, 3, 1));
}

TEST_CASE("what is not quite an HTTP-date is none") {
  for (const std::string text : {"",
                                 "Sun",
                                 "Sun, 06 Nov 1994 08:49:37",
                                 "Sun, 06 Nov 1994 08:49:37 UTC",
                                 "Sun, 06 Nov 1994 08:49:37 GMT ",
                                 "Sun, 06 Nov 1994 08:49:37 GMTx",
                                 " Sun, 06 Nov 1994 08:49:37 GMT",
                                 "Sun, 6 Nov 1994 08:49:37 GMT",
                                 "Sun, 06 Nov 94 08:49:37 GMT",
                                 "Sun, 31 Nov 1994 08:49:37 GMT",
                                 "Tue, 29 Feb 2100 00:00:00 GMT",
                                 "Sun, 00 Nov 1994 08:49:37 GMT",
                                 "Sun, 06 Nov 1994 24:00:00 GMT",
                                 "Sun, 06 Nov 1994 08:60:37 GMT",
                                 "Sun, 06 Nov 1994 08:49:61 GMT",
                                 "Sun, 06 Nov 1994 8:49:37 GMT",
                                 "Sun, -6 Nov 1994 08:49:37 GMT",
                                 "Xyz, 06 Nov 1994 08:49:37 GMT",
                                 "Sun, 06 Xyz 1994 08:49:37 GMT",
                                 "Sunday, 06-Nov-1994 08:49:37 GMT",
                                 "Sun, 06-Nov-94 08:49:37 GMT",
                                 "Sun Nov 6 08:49:37 1994",
                                 "Sun Nov 006 08:49:37 1994",
                                 "Sun Nov  6 08:49:37 94",
                                 "1994-11-06T08:49:37Z",
                                 "784111777"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text, at(2026, 3, 1)));
  }
}
