#include "proxy/metrics.hpp"

#include <doctest/doctest.h>

#include <set>

#include "proxy/metrics_text.hpp"

using namespace raincheck;
using namespace raincheck::proxy;

namespace {

TEST_CASE("whatever a client sends, labels are of closed lists") {
  CHECK(method_labels[method_label("GET")] == "GET");
  for (const char* method : {"", "get", "PROPFIND", "other", "A-VERY-LONG-ONE"}) {
    CHECK(method_labels[method_label(method)] == "other");
  }
  CHECK(code_labels[code_label(0)] == "none");
  CHECK(code_labels[code_label(204)] == "2xx");
  CHECK(code_labels[code_label(599)] == "5xx");
  for (const int status : {-1, 99, 600, 999}) CHECK(code_labels[code_label(status)] == "none");
  CHECK(refusal_labels[refusal_label("queue_full")] == "queue_full");
  CHECK(refusal_labels[refusal_label("no such reason")] == "other");
  CHECK(refusal_labels.size() <= std::tuple_size_v<decltype(RefusalMetrics::counts)>);
}

TEST_CASE("each end of a job has a name of its own") {
  std::set<std::string_view> names;
  for (std::size_t outcome = 0; outcome < outcome_labels; ++outcome) {
    names.insert(outcome_name(outcome));
  }
  CHECK(names.size() == outcome_labels);
  CHECK(outcome_name(outcome_label(jobs::State::succeeded, jobs::ErrorType::none)) == "succeeded");
  CHECK(outcome_name(outcome_label(jobs::State::canceled, jobs::ErrorType::none)) == "canceled");
  CHECK(outcome_name(outcome_label(jobs::State::failed, jobs::ErrorType::outcome_unknown)) ==
        "outcome_unknown");
  CHECK(outcome_name(outcome_label(jobs::State::failed, jobs::ErrorType::rewrite_failed)) ==
        "rewrite_failed");
}

TEST_CASE("an attempt is made again because of a fault or a status") {
  CHECK(retry_name(retry_label(jobs::Fault::upstream_unreachable, 0)) == "upstream_unreachable");
  CHECK(retry_name(retry_label(jobs::Fault::client_gone, 503)) == "client_gone");
  CHECK(retry_name(retry_label(std::nullopt, 503)) == "503");
  CHECK(retry_name(retry_label(std::nullopt, 418)) == "other_status");
  CHECK(retry_label(std::nullopt, 418) == retry_labels - 1);
}

TEST_CASE("a sample is a line, with its labels escaped") {
  MetricsWriter out;
  out.family(MetricsWriter::Type::counter, "a_total", "Help.");
  out.sample(std::int64_t{-1});
  out.label("x", "1\"2\\3\n4");
  out.label("y", "");
  out.sample(0.25);
  CHECK(out.take() ==
        "# HELP a_total Help.\n# TYPE a_total counter\na_total -1\n"
        "a_total{x=\"1\\\"2\\\\3\\n4\",y=\"\"} 0.25\n");
}

TEST_CASE("histograms of several shards are one, whose buckets count all below") {
  const std::vector<std::int64_t> bounds = {10, 1'500};
  Histogram first(bounds);
  Histogram second(bounds);
  first.observe(10);
  first.observe(11);
  second.observe(1'500);
  second.observe(1'501);
  MetricsWriter out;
  out.family(MetricsWriter::Type::histogram, "a_seconds", "Help.");
  out.label("x", "y");
  out.histogram({&first, &second}, 1'000);
  CHECK(out.take() ==
        "# HELP a_seconds Help.\n# TYPE a_seconds histogram\n"
        "a_seconds_bucket{x=\"y\",le=\"0.01\"} 1\n"
        "a_seconds_bucket{x=\"y\",le=\"1.5\"} 3\n"
        "a_seconds_bucket{x=\"y\",le=\"+Inf\"} 4\n"
        "a_seconds_sum{x=\"y\"} 3.022\n"
        "a_seconds_count{x=\"y\"} 4\n");
}

TEST_CASE("a name counts on whoever looks it up, and each shard for itself") {
  MetricsByName<QueueMetrics, std::string> queues;
  QueueMetrics& first = queues.at("a", 0, 2);
  QueueMetrics& second = queues.at("a", 1, 2);
  CHECK(&first != &second);
  CHECK(&queues.at("a", 0, 2) == &first);
  CHECK(&queues.at("b", 0, 2) != &first);
}

}  // namespace
