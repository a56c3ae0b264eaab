#include "routes/decimal.hpp"

#include <algorithm>
#include <charconv>

namespace raincheck::routes {
namespace {

constexpr std::int64_t exponent_max = 1'000'000'000'000;

std::int64_t parse_exponent(std::string_view text) {
  const bool is_negative = !text.empty() && text.front() == '-';
  if (is_negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value > exponent_max) value = exponent_max;
  return is_negative ? -value : value;
}

std::uint64_t power_of_ten_modulo(std::int64_t exponent, std::uint64_t modulus) {
  std::uint64_t result = 1 % modulus;
  for (std::uint64_t factor = 10 % modulus; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = result * factor % modulus;
    factor = factor * factor % modulus;
  }
  return result;
}

std::uint64_t digits_modulo(std::string_view digits, std::uint64_t modulus) {
  std::uint64_t rest = 0;
  for (const char digit : digits) {
    rest = (rest * 10 + static_cast<std::uint64_t>(digit - '0')) % modulus;
  }
  return rest;
}

}  // namespace

Decimal::Decimal(std::string_view text) {
  is_negative_ = !text.empty() && text.front() == '-';
  if (is_negative_) text.remove_prefix(1);
  const std::size_t e = text.find_first_of("eE");
  if (e != text.npos) exponent_ = parse_exponent(text.substr(e + 1));
  text = text.substr(0, e);
  const std::size_t point = text.find('.');
  digits_ = text.substr(0, point);
  if (point != text.npos) {
    const std::string_view fraction = text.substr(point + 1);
    digits_ += fraction;
    exponent_ -= static_cast<std::int64_t>(fraction.size());
  }
  digits_.erase(0, std::min(digits_.find_first_not_of('0'), digits_.size()));
  const std::size_t kept = digits_.find_last_not_of('0') + 1;  // npos + 1 is 0
  exponent_ += static_cast<std::int64_t>(digits_.size() - kept);
  digits_.resize(kept);
  if (digits_.empty()) *this = Decimal();
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  const auto sign = [](const Decimal& d) { return d.is_zero() ? 0 : d.is_negative_ ? -1 : 1; };
  if (sign(*this) != sign(other)) return sign(*this) <=> sign(other);
  const Decimal& a = is_negative_ ? other : *this;
  const Decimal& b = is_negative_ ? *this : other;
  const auto magnitude = [](const Decimal& d) {
    return d.exponent_ + static_cast<std::int64_t>(d.digits_.size());
  };
  if (magnitude(a) != magnitude(b)) return magnitude(a) <=> magnitude(b);
  return a.digits_ <=> b.digits_;
}

bool Decimal::is_multiple_of(const Decimal& unit) const {
  if (is_zero()) return true;
  // Without zeros at their ends the digits do not divide by ten.
  if (exponent_ < unit.exponent_) return false;
  std::uint64_t modulus = 0;
  std::from_chars(unit.digits_.data(), unit.digits_.data() + unit.digits_.size(), modulus);
  return digits_modulo(digits_, modulus) *
             power_of_ten_modulo(exponent_ - unit.exponent_, modulus) % modulus ==
         0;
}

std::string Decimal::canonical() const {
  return (is_negative_ ? "-" : "") + digits_ + "e" + std::to_string(exponent_);
}

}  // namespace raincheck::routes
