#include "jobs/estimate.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace raincheck::jobs {
namespace {

using std::chrono::ceil;
using std::chrono::floor;
using std::chrono::seconds;

constexpr std::int64_t duration_max = (std::int64_t{1} << 27) - 1;  // ms
constexpr std::uint32_t sample_weight = 16;  // so that halving is felt four times before it erases
constexpr std::uint32_t total_max = 256 * sample_weight;

std::int64_t in_range(milliseconds duration) {
  return std::clamp<std::int64_t>(duration.count(), 1, duration_max);
}

std::size_t bucket_of(std::int64_t duration) {
  const auto value = static_cast<std::uint64_t>(duration);
  const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 1;
  return octave * 8 + ((value << 3 >> octave) & 7);
}

double lower_bound(std::size_t bucket) {
  return std::ldexp(1 + static_cast<double>(bucket % 8) / 8, static_cast<int>(bucket / 8));
}

milliseconds rounded(double duration) {
  return milliseconds(std::llround(duration));
}

}  // namespace

void Durations::add(milliseconds duration) {
  const std::int64_t value = in_range(duration);
  weights_[bucket_of(value)] += sample_weight;
  total_ += sample_weight;
  sum_ += static_cast<std::uint64_t>(value) * sample_weight;
  if (total_ < total_max) return;
  total_ = 0;
  for (std::uint16_t& weight : weights_) {
    weight = static_cast<std::uint16_t>(weight / 2);
    total_ += weight;
  }
  sum_ /= 2;
}

std::optional<milliseconds> Durations::mean() const {
  if (empty()) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(sum_ / total_));
}

std::optional<milliseconds> Durations::quantile(double q) const {
  if (empty()) return std::nullopt;
  return at_weight(std::clamp(q, 0.0, 1.0) * total_);
}

std::optional<milliseconds> Durations::remaining(milliseconds so_far) const {
  const double above = weight_above(so_far);
  if (empty() || above < total_ / 50.0) return std::nullopt;
  return std::max(at_weight(total_ - above / 2) - so_far, milliseconds(0));
}

// Where `weight` of all has passed, evenly spread within a bucket.
milliseconds Durations::at_weight(double weight) const {
  std::uint32_t below = 0;
  std::size_t last = 0;  // with something in it
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] == 0) continue;
    last = i;
    if (below + weights_[i] >= weight) {
      const double share = (weight - below) / weights_[i];
      return rounded(std::lerp(lower_bound(i), lower_bound(i + 1), share));
    }
    below += weights_[i];
  }
  return rounded(lower_bound(last + 1));
}

double Durations::weight_above(milliseconds duration) const {
  if (duration.count() > duration_max) return 0;
  const std::int64_t value = in_range(duration);
  const std::size_t bucket = bucket_of(value);
  double above = 0;
  for (std::size_t i = bucket + 1; i < weights_.size(); ++i) above += weights_[i];
  const double low = lower_bound(bucket);
  const double share =
      (lower_bound(bucket + 1) - static_cast<double>(value)) / (lower_bound(bucket + 1) - low);
  return above + share * weights_[bucket];
}

namespace {

// How long until a queued job has ended; nothing without history, while paused, or when it ought to
// have begun long ago and something that history does not know keeps it.
std::optional<milliseconds> remaining_of_queued(const Durations& wait,
                                                const Durations& run,
                                                const Progress& progress) {
  if (run.empty() || progress.paused) return std::nullopt;
  // A place becomes free this often when all are taken.
  const milliseconds turn = *run.mean() / std::max<std::int64_t>(progress.concurrency, 1);
  const milliseconds own_run = *run.quantile(0.5);
  if (progress.ahead > 0) {
    const double waiting =
        (static_cast<double>(progress.ahead) + 1) * static_cast<double>(turn.count());
    return own_run + rounded(std::min(waiting, 1e15));
  }
  if (progress.age > turn && !wait.remaining(progress.age)) return std::nullopt;
  return own_run + std::min(wait.quantile(0.5).value_or(turn), turn);
}

}  // namespace

Estimate estimate(const Durations& wait,
                  const Durations& run,
                  const Progress& progress,
                  milliseconds min,
                  milliseconds max) {
  milliseconds again{0};
  std::optional<milliseconds> remaining;
  switch (progress.state) {
    case State::queued:
      remaining = remaining_of_queued(wait, run, progress);
      again = progress.age / 3;
      break;
    case State::running:
      remaining = run.remaining(progress.running_for);
      again = (run.empty() ? progress.age : progress.running_for) / 3;
      break;
    case State::succeeded:
    case State::failed:
    case State::canceled:
      break;
  }
  // Even a good guess may be wrong again and again; asking after a sixteenth of the time that has
  // passed costs the client little and bounds how often it asks.
  if (remaining) again = std::max(*remaining, progress.age / 16);

  Estimate estimate;
  const seconds least = std::max(ceil<seconds>(min), seconds(1));
  const seconds most = std::max(floor<seconds>(max), least);
  estimate.retry_after = std::clamp(ceil<seconds>(again), least, most);
  if (remaining) estimate.completion = progress.now + *remaining;
  return estimate;
}

}  // namespace raincheck::jobs
