#include "routes/json_format.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "jobs/text.hpp"
#include "routes/json_pointer.hpp"

namespace raincheck::routes {
namespace {

constexpr std::pair<JsonFormat, const char*> formats[] = {
    {JsonFormat::date, "date"},
    {JsonFormat::time, "time"},
    {JsonFormat::date_time, "date-time"},
    {JsonFormat::ipv4, "ipv4"},
    {JsonFormat::ipv6, "ipv6"},
    {JsonFormat::uuid, "uuid"},
    {JsonFormat::json_pointer, "json-pointer"}};

// Digits where the form has 'd', hexadecimal ones where it has 'x', else the same character.
bool has_form(std::string_view text, std::string_view form) {
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), [](char c, char wanted) {
    if (wanted == 'd') return jobs::is_digit(c);
    if (wanted == 'x') {
      return jobs::is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    return c == wanted;
  });
}

int number(std::string_view digits) {
  int value = 0;
  for (const char digit : digits) value = value * 10 + (digit - '0');
  return value;
}

bool is_date(std::string_view text) {
  if (!has_form(text, "dddd-dd-dd")) return false;
  constexpr std::array<int, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = number(text.substr(0, 4));
  const int month = number(text.substr(5, 2));
  const int day = number(text.substr(8, 2));
  if (month < 1 || month > 12 || day < 1) return false;
  const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= days[static_cast<std::size_t>(month - 1)] + (month == 2 && is_leap ? 1 : 0);
}

// Minutes after UTC of "Z" or "+hh:mm".
std::optional<int> parse_zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  if (!has_form(text.substr(1), "dd:dd")) return std::nullopt;
  const int hours = number(text.substr(1, 2));
  const int minutes = number(text.substr(4, 2));
  if (hours > 23 || minutes > 59) return std::nullopt;
  return (text.front() == '-' ? -1 : 1) * (hours * 60 + minutes);
}

// RFC 3339: a leap second is the last of a day in UTC.
bool is_time(std::string_view text) {
  if (!has_form(text.substr(0, 8), "dd:dd:dd")) return false;
  const int hour = number(text.substr(0, 2));
  const int minute = number(text.substr(3, 2));
  const int second = number(text.substr(6, 2));
  text.remove_prefix(8);
  if (!text.empty() && text.front() == '.') {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789", 1), text.size()) - 1;
    if (digits == 0) return false;
    text.remove_prefix(digits + 1);
  }
  const std::optional<int> zone = parse_zone(text);
  if (!zone || hour > 23 || minute > 59 || second > 60) return false;
  const int in_utc = ((hour * 60 + minute - *zone) % 1440 + 1440) % 1440;
  return second < 60 || in_utc == 1439;
}

bool is_date_time(std::string_view text) {
  return text.size() > 11 && (text[10] == 'T' || text[10] == 't') && is_date(text.substr(0, 10)) &&
         is_time(text.substr(11));
}

bool is_address(std::string_view text, int family) {
  std::array<unsigned char, 16> address;
  return text.find('\0') == text.npos &&
         inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

}  // namespace

std::optional<JsonFormat> parse_json_format(std::string_view word) {
  for (const auto& [format, text] : formats) {
    if (word == text) return format;
  }
  return std::nullopt;
}

const char* name(JsonFormat format) {
  for (const auto& [known, text] : formats) {
    if (known == format) return text;
  }
  return "";
}

bool has_format(std::string_view text, JsonFormat format) {
  switch (format) {
    case JsonFormat::date:
      return is_date(text);
    case JsonFormat::time:
      return is_time(text);
    case JsonFormat::date_time:
      return is_date_time(text);
    case JsonFormat::ipv4:
      return is_address(text, AF_INET);
    case JsonFormat::ipv6:
      return is_address(text, AF_INET6);
    case JsonFormat::uuid:
      return has_form(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    case JsonFormat::json_pointer:
      return JsonPointer::parse(text).has_value();
  }
  return false;
}

}  // namespace raincheck::routes
