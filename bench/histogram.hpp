// Counts durations in buckets that are at most 1.6 % wide, from a nanosecond to hours. Constant
// memory, no allocation per value. Used from one thread.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace raincheck::bench {

class Histogram {
 public:
  void add(std::chrono::nanoseconds duration) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
    ++buckets_[bucket_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const { return count_; }
  std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }

  // The smallest duration that at least this share (0..1) of the values do not exceed, rounded up
  // to its bucket's end.
  std::chrono::nanoseconds quantile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t passed = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      passed += buckets_[bucket];
      if (passed >= wanted && passed > 0) {
        return std::chrono::nanoseconds(std::min(last_value(bucket), max_));
      }
    }
    return std::chrono::nanoseconds(0);
  }

 private:
  // 64 buckets for each power of two.
  static constexpr std::size_t step_bits = 6;
  static constexpr std::size_t steps = 1u << step_bits;
  static constexpr std::size_t powers = 64 - step_bits;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < steps) return value;
    const std::size_t shift = std::bit_width(value) - step_bits - 1;
    return (shift + 1) * steps + ((value >> shift) - steps);
  }
  static std::uint64_t last_value(std::size_t bucket) {
    if (bucket < steps) return bucket;
    const std::size_t shift = bucket / steps - 1;
    return ((bucket % steps + steps + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>((powers + 1) * steps);
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace raincheck::bench
