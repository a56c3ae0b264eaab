// How much memory the bodies that have to be there whole may take, all together. Each has a limit
// of its own; without this, many at once would have none. For the process; any thread, never waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/config.hpp"

namespace raincheck::proxy {

// Who waits for room asks again after this.
constexpr std::chrono::milliseconds room_pause{50};

class BodyBudget {
 public:
  static constexpr std::uint64_t usual = 128 * config::mib;

  // All together, and all of one client.
  explicit BodyBudget(std::uint64_t max, std::uint64_t client_max = UINT64_MAX)
      : max_(max), client_max_(client_max) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  std::uint64_t max() const { return max_; }
  std::uint64_t client_max() const { return client_max_; }
  // Not less than there is: bodies may have taken of it.
  void raise(std::uint64_t max, std::uint64_t client_max = UINT64_MAX);

  // What one body takes; given back with this. One thread at a time.
  class Share {
   public:
    // `client` is an address, which must outlive this; those of one IPv6 network (/64) count as
    // one. Empty: it is no client's.
    explicit Share(BodyBudget& budget, std::string_view client = {})
        : budget_(budget), client_(client) {}
    ~Share() { give(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // So many bytes more. False: there is no room, and nothing was taken.
    [[nodiscard]] bool take(std::uint64_t bytes) {
      if (network_.empty()) network_ = network_of(client_);
      if (!budget_.take(network_, bytes)) return false;
      taken_ += bytes;
      return true;
    }
    void give() {
      if (taken_ != 0) budget_.give(network_, taken_);
      taken_ = 0;
    }

   private:
    BodyBudget& budget_;
    const std::string_view client_;
    std::string network_;
    std::uint64_t taken_ = 0;
  };

 private:
  static std::string network_of(std::string_view address);
  bool take(const std::string& client, std::uint64_t bytes);
  void give(const std::string& client, std::uint64_t bytes);

  std::atomic<std::uint64_t> max_;
  std::atomic<std::uint64_t> client_max_;
  std::mutex mutex_;
  std::uint64_t taken_ = 0;
  std::unordered_map<std::string, std::uint64_t> clients_;  // what each has taken
};

// One for each thing that is waited for, so that none keeps another from what it needs. Who takes
// of two takes in this order. Each has room for the largest body of its kind that a route wants.
struct BodyBudgets {
  explicit BodyBudgets(const config::Config& config) { make_room(config); }
  // For its routes too.
  void make_room(const config::Config& config);

  // While clients send them, for as long as these like: each has a limit.
  BodyBudget requests{BodyBudget::usual, BodyBudget::usual / 4};
  BodyBudget calls{BodyBudget::usual};  // of attempts, on their way to the backend
  BodyBudget answers{BodyBudget::usual};
};

}  // namespace raincheck::proxy
