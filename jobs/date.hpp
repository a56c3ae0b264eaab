// Times as text: RFC 3339 for JSON, HTTP-date (RFC 9110 5.6.7) for header fields. Pure, any thread,
// no locale and no time zone but UTC. Right for every date from 1970 to 9999; others are clamped.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::jobs {

// 2026-03-01T09:30:00.125Z
void append_time(std::string& out, WallTime time);

// Sun, 06 Nov 1994 08:49:37 GMT. Always this long, so that a stored one can be overwritten in
// place.
constexpr std::size_t http_date_chars = 29;
void append_http_date(std::string& out, WallTime time);
std::string http_date(WallTime time);

// The Date field of many answers: written once a second. Belongs to one thread.
class HttpDate {
 public:
  // Valid until the next call.
  std::string_view at(WallTime now);

 private:
  std::string text_;
  WallTime second_{};  // of which text_ is
};

// Any of the three forms of an HTTP-date. `now` decides the century of the one with two digits.
std::optional<WallTime> parse_http_date(std::string_view text, WallTime now);

}  // namespace raincheck::jobs
