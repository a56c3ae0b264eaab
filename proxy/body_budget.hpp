// How much memory the bodies that have to be there whole may take, all together: those of
// submissions that are checked, and of answers that rules for JSON change. Each has a limit of its
// own; without this, many at once would have none. One for the process; any thread, never waits.
#pragma once

#include <atomic>
#include <cstdint>

#include "config/config.hpp"

namespace raincheck::proxy {

class BodyBudget {
 public:
  static constexpr std::uint64_t usual = 128 * config::mib;

  explicit BodyBudget(std::uint64_t max = usual) : max_(max) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  // What one body takes; given back with this. One thread at a time.
  class Share {
   public:
    explicit Share(BodyBudget& budget) : budget_(budget) {}
    ~Share() { give(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // So many bytes more. False: there is no room, and nothing was taken.
    [[nodiscard]] bool take(std::uint64_t bytes) {
      if (budget_.taken_.fetch_add(bytes) + bytes > budget_.max_) {
        budget_.taken_.fetch_sub(bytes);
        return false;
      }
      taken_ += bytes;
      return true;
    }
    void give() {
      budget_.taken_.fetch_sub(taken_);
      taken_ = 0;
    }

   private:
    BodyBudget& budget_;
    std::uint64_t taken_ = 0;
  };

 private:
  const std::uint64_t max_;
  std::atomic<std::uint64_t> taken_{0};
};

// Enough for the largest body that a route wants whole.
std::uint64_t body_budget_of(const config::Config& config);

}  // namespace raincheck::proxy
