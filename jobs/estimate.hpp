// How long it will take: the recent durations of a route as a small decaying histogram, and from
// them when a client should ask again. One per route and shard, no locks; estimates are never a
// promise and decide nothing but Retry-After and estimatedCompletionAt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "jobs/job.hpp"

namespace raincheck::jobs {

// Durations from 1 ms to 37 h in buckets an eighth of an octave wide. All are halved when there are
// 256, so that the last few hundred say most.
class Durations {
 public:
  void add(milliseconds duration);  // O(1), amortised over the halving
  bool empty() const { return total_ == 0; }
  std::optional<milliseconds> mean() const;
  // The duration that the share `q` of them does not exceed.
  std::optional<milliseconds> quantile(double q) const;
  // How much longer something takes, in the middle, that has taken `so_far`. Nothing when hardly
  // any took so long.
  std::optional<milliseconds> remaining(milliseconds so_far) const;

 private:
  static constexpr std::size_t bucket_count = 27 * 8;

  milliseconds at_weight(double weight) const;
  double weight_above(milliseconds duration) const;

  std::array<std::uint16_t, bucket_count> weights_{};
  std::uint32_t total_ = 0;  // of the weights
  std::uint64_t sum_ = 0;    // of duration in ms times weight
};

// How far a job is.
struct Progress {
  State state = State::queued;
  milliseconds age{0};            // since it was created
  milliseconds running_for{0};    // running: since its attempt began
  std::uint64_t ahead = 0;        // queued: jobs before it
  std::uint32_t concurrency = 1;  // calls at once that its upstream allows
  bool paused = false;            // queued: none begins until an operator says so
  WallTime now{};                 // makes `completion` a time
};

struct Estimate {
  milliseconds retry_after{1000};      // whole seconds, at least one
  std::optional<WallTime> completion;  // nothing: no idea
};

// `wait` and `run` are the histories of waiting for the first attempt and of attempts.
Estimate estimate(const Durations& wait,
                  const Durations& run,
                  const Progress& progress,
                  milliseconds min,
                  milliseconds max);

}  // namespace raincheck::jobs
