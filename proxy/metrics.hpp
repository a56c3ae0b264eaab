// What is counted for /metrics, by the names of the configuration and never by anything that a
// client sends. Owned by the Server and kept over every change of the configuration: the same name
// counts on. Each shard has counters of its own, which it looks up once when it is built
// (ShardMetrics); metrics_text.cpp adds them up, on the main thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/error.hpp"
#include "jobs/job.hpp"
#include "jobs/metric.hpp"
#include "proxy/handshake_failure.hpp"
#include "proxy/site.hpp"

namespace raincheck::proxy {

using jobs::Counter;
using jobs::Histogram;

// Closed lists: the values of labels.

// Of requests; every other method is "other".
constexpr std::array<std::string_view, 8> method_labels = {"GET",   "HEAD",   "POST",    "PUT",
                                                           "PATCH", "DELETE", "OPTIONS", "other"};
std::size_t method_label(std::string_view method);

// "none": there was no answer.
constexpr std::array<std::string_view, 6> code_labels = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
std::size_t code_label(int status);

// How a job ended: succeeded, canceled, or why it failed (jobs::ErrorType).
constexpr std::size_t outcome_labels =
    2 + static_cast<std::size_t>(jobs::ErrorType::rewrite_failed);
std::size_t outcome_label(jobs::State state, jobs::ErrorType error);
std::string_view outcome_name(std::size_t outcome);

// Why an attempt is made again: a fault, or the status of the answer.
constexpr std::size_t fault_labels = 1 + static_cast<std::size_t>(jobs::Fault::client_gone);
constexpr std::array<int, 6> status_reasons = {408, 425, 429, 502, 503, 504};
constexpr std::size_t retry_labels = fault_labels + status_reasons.size() + 1;
std::size_t retry_label(std::optional<jobs::Fault> fault, int status);
std::string retry_name(std::size_t reason);

// Why we refused a request, or it came to nothing: the words of docs/logs.md.
extern const std::vector<std::string_view> refusal_labels;
std::size_t refusal_label(std::string_view reason);

// Buckets, in milliseconds.
inline constexpr std::array<std::int64_t, 9> http_buckets = {5,     25,     100,    500,    1'000,
                                                             5'000, 30'000, 60'000, 300'000};
inline constexpr std::array<std::int64_t, 10> job_buckets = {
    100, 1'000, 5'000, 30'000, 60'000, 300'000, 900'000, 3'600'000, 21'600'000, 86'400'000};

struct RouteMetrics {
  Counter in_flight;
  Counter request_bytes;
  Counter response_bytes;
  Histogram duration{http_buckets};
  Counter accepted;
  Counter polls;
  Counter running;
  std::array<Counter, outcome_labels> finished;
  Histogram waited{job_buckets};
  Histogram ran{job_buckets};
};

// Of one listener and route.
using RequestCounts = std::array<std::array<Counter, code_labels.size()>, method_labels.size()>;

// Of one listener that speaks TLS.
using HandshakeFailures = std::array<Counter, handshake_failure_labels.size()>;

struct ServerMetrics {
  std::array<Counter, code_labels.size()> requests;
  Counter ejections;
};

struct UpstreamMetrics {
  Histogram duration{job_buckets};
  std::array<Counter, retry_labels> retries;
};

// Of the jobs of one route that wait for one upstream; the shard of its dispatcher writes it.
struct QueueMetrics {
  Counter queued;
  Counter oldest;  // when the first that waits was accepted, in milliseconds since 1970; 0: none
};

// Of one shard.
struct RefusalMetrics {
  std::array<Counter, 48> counts;  // as refusal_labels
};

// The counters of one kind, by name, for each shard.
template <class T, class Name>
class MetricsByName {
 public:
  T& at(const Name& name, std::size_t shard, std::size_t shards) {
    auto& all = by_name_[name];
    while (all.size() < shards) all.push_back(std::make_unique<T>());
    return *all[shard];
  }
  using Shards = std::vector<std::unique_ptr<T>>;
  auto begin() const { return by_name_.begin(); }
  auto end() const { return by_name_.end(); }

 private:
  std::map<Name, Shards> by_name_;
};

class Metrics {
 public:
  using Pair = std::pair<std::string, std::string>;

  explicit Metrics(std::size_t shards);

  const std::size_t shards;

  // The rest is guarded by `mutex`: looked up when a shard is built, read when somebody asks.
  std::mutex mutex;
  MetricsByName<RouteMetrics, std::string> routes;
  MetricsByName<RequestCounts, Pair> requests;               // listener, route
  MetricsByName<HandshakeFailures, std::string> handshakes;  // listener
  MetricsByName<UpstreamMetrics, std::string> upstreams;
  MetricsByName<ServerMetrics, Pair> servers;            // upstream, server
  std::map<Pair, std::unique_ptr<QueueMetrics>> queues;  // upstream, route
  std::vector<std::unique_ptr<RefusalMetrics>> refusals;
  // Any thread that does not hold `mutex`.
  QueueMetrics& queue(const std::string& upstream, const std::string& route);

  // Of the configuration in force. Main thread.
  struct Reload {
    bool was_successful = true;
    jobs::WallTime succeeded_at{};
  };
  Reload reload;
};

// A shard's own counters for one configuration. Lives as long as what it was made for.
class ShardMetrics {
 public:
  ShardMetrics(Metrics& metrics, std::size_t shard, const Site& site);

  // Of a route that is none, such as that of unmatched requests, "-" counts.
  RouteMetrics& of(const SiteRoute* route) { return *routes_[place_of(route)]; }
  // An exchange with a client has ended. `reason` is the access log's word.
  struct Ended {
    const SiteRoute* route = nullptr;
    std::size_t listener = 0;
    std::string_view method;
    int status = 0;
    std::string_view reason;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    jobs::milliseconds duration{};
  };
  void ended(const Ended& exchange);
  // `listener` in Config::listeners, which speaks TLS or did when the connection began.
  void handshake_failed(const config::Listener& listener, HandshakeFailure failure) {
    handshakes_[static_cast<std::size_t>(&listener - site_.config().listeners.data())]
        ->at(label_of(failure))
        .add();
  }
  // A job has ended.
  void finished(const SiteRoute* route, jobs::State state, jobs::ErrorType error) {
    of(route).finished[outcome_label(state, error)].add();
  }

  // `upstream` in Config::upstreams. A call to it has ended; `server` may be empty.
  void called(const config::Upstream& upstream,
              std::string_view server,
              int status,
              jobs::milliseconds duration);
  void ejected(const config::Upstream& upstream, std::size_t server);
  UpstreamMetrics& of(const config::Upstream& upstream) {
    return *upstreams_[index_of(upstream)].all;
  }

 private:
  struct Upstream {
    UpstreamMetrics* all = nullptr;
    std::vector<ServerMetrics*> servers;
  };
  std::size_t place_of(const SiteRoute* route) const;
  std::size_t index_of(const config::Upstream& upstream) const {
    return static_cast<std::size_t>(&upstream - site_.config().upstreams.data());
  }

  const Site& site_;
  std::vector<RouteMetrics*> routes_;                  // as Site::routes(), and "-"
  std::vector<std::vector<RequestCounts*>> requests_;  // of each listener, likewise
  std::vector<HandshakeFailures*> handshakes_;         // of each listener
  std::vector<Upstream> upstreams_;
  RefusalMetrics& refusals_;
};

}  // namespace raincheck::proxy
