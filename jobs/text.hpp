// The few things done to text that several rules need: ASCII only, no locale, no allocation but the
// output's own. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::jobs {

// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

bool equals_ignoring_case(std::string_view a, std::string_view b);

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// delta-seconds (RFC 9110 10.2.3): digits and nothing else, however many; more than `max` is `max`.
std::optional<milliseconds> parse_seconds(std::string_view text, milliseconds max);

void append_number(std::string& out, std::uint64_t number);

struct Utf8Sequence {
  std::size_t size = 1;  // of an ill-formed one: the bytes that one U+FFFD stands for
  bool is_well_formed = false;
};

// The sequence at the beginning of `text`, which is not empty: Unicode 15, table 3-7.
Utf8Sequence first_utf8_sequence(std::string_view text);

// A JSON string with its quotes. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace raincheck::jobs
