// Numbers that one thread counts and any thread may read: no lock and no locked instruction, for
// they are on the path of every request. Whoever shows them adds up those of several threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace raincheck::jobs {

// Up, or, as a level, up and down. Written by one thread.
class Counter {
 public:
  void add(std::int64_t n = 1) { set(value() + n); }
  void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// How often values were at most each of a few bounds, in whole units of the owner's.
class Histogram {
 public:
  static constexpr std::size_t bounds_max = 11;

  // Ascending; they outlive this.
  explicit Histogram(std::span<const std::int64_t> bounds) : bounds_(bounds) {}

  void observe(std::int64_t value) {
    std::size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    counts_[bucket].add();
    sum_.add(value);
  }
  std::span<const std::int64_t> bounds() const { return bounds_; }
  // Values in the bucket that ends with that bound, and in none before; the last is without bound.
  std::int64_t count(std::size_t bucket) const { return counts_[bucket].value(); }
  std::int64_t sum() const { return sum_.value(); }

 private:
  std::span<const std::int64_t> bounds_;
  std::array<Counter, bounds_max + 1> counts_;
  Counter sum_;
};

}  // namespace raincheck::jobs
