// A number as JSON writes it, exact: no digit is lost and 1.0, 1 and 10e-1 are the same. Pure
// value; made from text that a JSON parser has accepted.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace raincheck::routes {

class Decimal {
 public:
  static constexpr std::size_t unit_digits_max = 9;

  Decimal() = default;  // 0
  // `text` follows the grammar of JSON (RFC 8259 section 6). Exponents beyond +-10^12 are those.
  explicit Decimal(std::string_view text);

  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const = default;

  bool is_integer() const { return exponent_ >= 0; }
  bool is_zero() const { return digits_.empty(); }
  // Whether it is a whole multiple of `unit`, which is greater than 0 and has at most
  // `unit_digits_max`.
  bool is_multiple_of(const Decimal& unit) const;
  std::size_t digit_count() const { return digits_.size(); }
  // The same text for every way to write one number.
  std::string canonical() const;

 private:
  bool is_negative_ = false;
  std::string digits_;         // without zeros at either end; empty: 0
  std::int64_t exponent_ = 0;  // of the last digit
};

}  // namespace raincheck::routes
