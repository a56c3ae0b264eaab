// What /metrics shows, in the text format of Prometheus (0.0.4): counters of all shards added up,
// and what is read off the parts of the server at this moment. Written straight into one string,
// for with a thousand routes it has tens of thousands of lines. Main thread; no shard waits for it.
// The list of metrics is docs/metrics.md, and a test holds the two together.
#pragma once

#include <string>

#include "proxy/recovery.hpp"
#include "proxy/shard.hpp"

namespace raincheck::proxy {

// Where it is read off.
struct MetricsSources {
  Metrics& metrics;
  const Generation& generation;  // that serves
  store::Store& store;
  const RecoveredCounts& recovered;
  const jobs::Clock& clock;

  const config::Config& config() const { return generation.site().config(); }
};

std::string metrics_text(MetricsSources& sources);

// Samples line by line, family after family. Pure.
class MetricsWriter {
 public:
  enum class Type { counter, gauge, histogram };

  // All that follows belongs to it.
  void family(Type type, std::string_view name, std::string_view help);
  // A pair of the next sample's labels, in order; kept for those after it until clear().
  void label(std::string_view name, std::string_view value);
  void clear() { labels_.clear(); }
  void sample(std::int64_t value) { line("", "", value); }
  void sample(double value);
  // Observed in units of which `units` are one base unit, such as 1000 for milliseconds. (Dividing
  // rounds as it reads.)
  void histogram(const std::vector<const Histogram*>& of_shards, double units);

  std::string take() { return std::move(out_); }

 private:
  void head(std::string_view suffix, std::string_view more);
  void line(std::string_view suffix, std::string_view more, std::int64_t value);

  std::string out_;
  std::string name_;
  std::string labels_;
};

}  // namespace raincheck::proxy
