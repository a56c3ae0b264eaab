#include "jobs/text.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace raincheck::jobs;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

TEST_CASE("a JSON string escapes what it must and nothing else") {
  CHECK(json("") == R"("")");
  CHECK(json("plain /path?a=b&c='d'") == R"("plain /path?a=b&c='d'")");
  CHECK(json("say \"hi\" \\ there") == R"("say \"hi\" \\ there")");
  CHECK(json("a\nb\rc\td") == R"("a\nb\rc\td")");
  CHECK(json("\0\x01\x1f\x7f"sv) == "\"\\u0000\\u0001\\u001f\x7f\"");
  CHECK(json("\"") == R"("\"")");
}

TEST_CASE("well-formed UTF-8 stays as it is in a JSON string, at the limits of each length") {
  for (const std::string_view text :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"}) {
    CHECK(json(text) == "\"" + std::string(text) + "\"");
  }
}

TEST_CASE("each ill-formed UTF-8 sequence becomes one replacement character") {
  const std::string r = "\xef\xbf\xbd";
  struct Row {
    std::string_view text;
    std::string want;
  };
  const Row rows[] = {
      {"\x80", r},
      {"a\xff\xfe", "a" + r + r},
      {"\xc0\xaf", r + r},                  // overlong
      {"\xc1\xbf", r + r},                  // overlong
      {"\xe0\x9f\xbf", r + r + r},          // overlong
      {"\xed\xa0\x80", r + r + r},          // a surrogate
      {"\xf0\x8f\xbf\xbf", r + r + r + r},  // overlong
      {"\xf4\x90\x80\x80", r + r + r + r},  // beyond U+10FFFF
      {"\xf5\x80\x80\x80", r + r + r + r},
      {"\xc3", r},      // cut short
      {"\xe2\x82", r},  // cut short: one subpart
      {"\xf0\x9f\x98", r},
      {"\xe2\x82z", r + "z"},
      {"\xe2\x82\"", r + "\\\""},
      {"\xc3\xc3\xbc", r + "\xc3\xbc"},
  };
  for (const Row& row : rows) CHECK(json(row.text) == "\"" + row.want + "\"");
}

TEST_CASE("a JSON string of any bytes ends with its last byte and has no control characters") {
  const auto is_closed = [](std::string_view text) {
    bool escaped = false;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
      if (static_cast<unsigned char>(text[i]) < 0x20 || (text[i] == '"' && !escaped)) return false;
      escaped = !escaped && text[i] == '\\';
    }
    return text.size() >= 2 && text.front() == '"' && text.back() == '"' && !escaped;
  };
  for (int i = 0; i < 65536; ++i) {
    const std::string bytes{static_cast<char>(i >> 8), static_cast<char>(i & 0xff)};
    if (!is_closed(json(bytes))) FAIL_CHECK(i);
  }
}

TEST_CASE("seconds are digits and nothing else, and no number is too long") {
  const milliseconds max = std::chrono::hours(24);
  struct Row {
    std::string_view text;
    std::optional<milliseconds> want;
  };
  const Row rows[] = {
      {"0", milliseconds(0)},
      {"1", milliseconds(1000)},
      {"007", milliseconds(7000)},
      {"86400", max},
      {"86401", max},
      {"4294967296", max},
      {"99999999999999999999999999", max},
      {"", std::nullopt},
      {"-1", std::nullopt},
      {"+1", std::nullopt},
      {"1.5", std::nullopt},
      {"1s", std::nullopt},
      {" 1", std::nullopt},
      {"0x1", std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_seconds(row.text, max) == row.want);
  }
}

TEST_CASE("text is trimmed of spaces and tabs, and compared without case in ASCII only") {
  CHECK(trim(" \ta b\t ") == "a b");
  CHECK(trim(" \t ") == "");
  CHECK(trim("") == "");
  CHECK(trim("\na") == "\na");
  CHECK(equals_ignoring_case("Respond-Async", "rESPOND-aSYNC"));
  CHECK_FALSE(equals_ignoring_case("a", "ab"));
  CHECK_FALSE(equals_ignoring_case("@", "`"));
  CHECK_FALSE(equals_ignoring_case("[", "{"));
  CHECK_FALSE(equals_ignoring_case("\xc4", "\xe4"));
}

TEST_CASE("numbers are written to the last digit") {
  std::string out = "n=";
  append_number(out, 0);
  out += ' ';
  append_number(out, 18446744073709551615U);
  CHECK(out == "n=0 18446744073709551615");
}
