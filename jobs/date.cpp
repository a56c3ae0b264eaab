#include "jobs/date.hpp"

#include <algorithm>
#include <array>

#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::array<std::string_view, 7> weekdays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr WallTime last_time =
    sys_days(std::chrono::year(10000) / std::chrono::January / 1) - milliseconds(1);

// Digits of `number`, with leading zeros, into the `count` characters before `end`.
void put(char* end, std::int64_t number, int count) {
  for (; count > 0; --count, number /= 10) *--end = static_cast<char>('0' + number % 10);
}

struct Civil {
  explicit Civil(WallTime time)
      : day(floor<days>(time)), date(day), since_midnight((time - day).count()) {}

  int year() const { return static_cast<int>(date.year()); }
  unsigned month() const { return static_cast<unsigned>(date.month()); }
  unsigned day_of_month() const { return static_cast<unsigned>(date.day()); }
  unsigned weekday() const { return std::chrono::weekday(day).c_encoding(); }
  void put_clock(char* at) const {  // over "hh:mm:ss"
    put(at + 2, since_midnight / 3600000, 2);
    put(at + 5, since_midnight / 60000 % 60, 2);
    put(at + 8, since_midnight / 1000 % 60, 2);
  }

  sys_days day;
  year_month_day date;
  std::int64_t since_midnight;  // ms
};

WallTime clamped(WallTime time) {
  return std::clamp(time, WallTime{}, last_time);
}

// Takes a date apart from left to right; after the first thing that is not there it fails for good.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool failed() const { return failed_; }
  bool at_end() const { return !failed_ && rest_.empty(); }

  void literal(std::string_view expected) {
    if (failed_ || !rest_.starts_with(expected)) return fail();
    rest_.remove_prefix(expected.size());
  }

  int number(std::size_t digits) {
    if (failed_ || rest_.size() < digits) return fail(), 0;
    int value = 0;
    for (const char c : rest_.substr(0, digits)) {
      if (!is_digit(c)) return fail(), 0;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }

  // The day of asctime: two characters, of which the first may be a space.
  int padded_day() {
    if (!rest_.starts_with(' ')) return number(2);
    rest_.remove_prefix(1);
    return number(1);
  }

  int month() {
    for (std::size_t i = 0; !failed_ && i < months.size(); ++i) {
      if (!rest_.starts_with(months[i])) continue;
      rest_.remove_prefix(months[i].size());
      return static_cast<int>(i) + 1;
    }
    return fail(), 0;
  }

  // The name, or its first three letters. That it is the right one for the date does not matter.
  void weekday(bool whole) {
    for (const std::string_view day : weekdays) {
      const std::string_view name = whole ? day : day.substr(0, 3);
      if (!failed_ && rest_.starts_with(name)) return rest_.remove_prefix(name.size());
    }
    fail();
  }

  seconds clock() {
    const int hours = number(2);
    literal(":");
    const int minutes = number(2);
    literal(":");
    const int leap_or_less = number(2);
    if (hours > 23 || minutes > 59 || leap_or_less > 60) fail();
    return seconds(hours * 3600 + minutes * 60 + leap_or_less);
  }

 private:
  void fail() { failed_ = true; }

  std::string_view rest_;
  bool failed_ = false;
};

std::optional<WallTime> make_time(
    const Reader& reader, int year, int month, int day, seconds clock) {
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!reader.at_end() || !date.ok()) return std::nullopt;
  return sys_days(date) + clock;
}

// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<WallTime> parse_imf_fixdate(std::string_view text) {
  Reader reader(text);
  reader.weekday(false);
  reader.literal(", ");
  const int day = reader.number(2);
  reader.literal(" ");
  const int month = reader.month();
  reader.literal(" ");
  const int year = reader.number(4);
  reader.literal(" ");
  const seconds clock = reader.clock();
  reader.literal(" GMT");
  return make_time(reader, year, month, day, clock);
}

// Sunday, 06-Nov-94 08:49:37 GMT. A year that seems more than 50 years ahead is one of the past.
std::optional<WallTime> parse_rfc850_date(std::string_view text, WallTime now) {
  Reader reader(text);
  reader.weekday(true);
  reader.literal(", ");
  const int day = reader.number(2);
  reader.literal("-");
  const int month = reader.month();
  reader.literal("-");
  const int year_of_century = reader.number(2);
  reader.literal(" ");
  const seconds clock = reader.clock();
  reader.literal(" GMT");
  const int this_year = Civil(now).year();
  int year = this_year - this_year % 100 + year_of_century;
  if (year > this_year + 50) year -= 100;
  return make_time(reader, year, month, day, clock);
}

// Sun Nov  6 08:49:37 1994
std::optional<WallTime> parse_asctime_date(std::string_view text) {
  Reader reader(text);
  reader.weekday(false);
  reader.literal(" ");
  const int month = reader.month();
  reader.literal(" ");
  const int day = reader.padded_day();
  reader.literal(" ");
  const seconds clock = reader.clock();
  reader.literal(" ");
  const int year = reader.number(4);
  return make_time(reader, year, month, day, clock);
}

}  // namespace

void append_time(std::string& out, WallTime time) {
  const Civil civil(clamped(time));
  char text[] = "0000-00-00T00:00:00.000Z";
  put(text + 4, civil.year(), 4);
  put(text + 7, civil.month(), 2);
  put(text + 10, civil.day_of_month(), 2);
  civil.put_clock(text + 11);
  put(text + 23, civil.since_midnight % 1000, 3);
  out.append(text, sizeof text - 1);
}

void append_http_date(std::string& out, WallTime time) {
  const Civil civil(clamped(time));
  char text[] = "Sun, 00 Jan 0000 00:00:00 GMT";
  static_assert(sizeof text - 1 == http_date_chars);
  std::copy_n(weekdays[civil.weekday()].begin(), 3, text);
  put(text + 7, civil.day_of_month(), 2);
  std::copy_n(months[civil.month() - 1].begin(), 3, text + 8);
  put(text + 16, civil.year(), 4);
  civil.put_clock(text + 17);
  out.append(text, http_date_chars);
}

std::string_view HttpDate::at(WallTime now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (text_.empty() || second != second_) {
    second_ = second;
    text_ = http_date(now);
  }
  return text_;
}

std::string http_date(WallTime time) {
  std::string text;
  text.reserve(http_date_chars);
  append_http_date(text, time);
  return text;
}

std::optional<WallTime> parse_http_date(std::string_view text, WallTime now) {
  if (const auto time = parse_imf_fixdate(text)) return time;
  if (const auto time = parse_rfc850_date(text, now)) return time;
  return parse_asctime_date(text);
}

}  // namespace raincheck::jobs
