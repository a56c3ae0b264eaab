#include "proxy/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace raincheck::proxy {

namespace {

const std::string no_route = "-";

template <class List, class T>
std::size_t place_in(const List& list, const T& value) {
  return static_cast<std::size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

}  // namespace

const std::vector<std::string_view> refusal_labels = {
    "gone",
    "not_found",
    "no_route",
    "method_not_allowed",
    "invalid_request",
    "not_authorized",
    "authorization_unavailable",
    "bad_request",
    "connection_auth",
    "uri_too_long",
    "headers_too_large",
    "body_too_large",
    "expectation_failed",
    "not_implemented",
    "version_not_supported",
    "header_timeout",
    "body_timeout",
    "client_closed",
    "loop_detected",
    "range_not_satisfiable",
    "tls_required",
    "certificate_refused",
    "unchangeable_body",
    "key_reused",
    "queue_full",
    "disk_full",
    "store_failed",
    "draining",
    "internal",
    "overloaded",
    "upstream_unreachable",
    "upstream_lost",
    "upstream_timeout",
    "upstream_protocol_error",
    "response_too_large",
    "rewrite_failed",
    "other",
};

std::size_t method_label(std::string_view method) {
  return std::min(place_in(method_labels, method), method_labels.size() - 1);
}

std::size_t code_label(int status) {
  const int code = status / 100;
  return code >= 1 && code <= 5 ? static_cast<std::size_t>(code) : 0;
}

std::size_t outcome_label(jobs::State state, jobs::ErrorType error) {
  if (state == jobs::State::succeeded) return 0;
  if (state == jobs::State::canceled || error == jobs::ErrorType::none) return 1;
  return 1 + static_cast<std::size_t>(error);
}

std::string_view outcome_name(std::size_t outcome) {
  if (outcome == 0) return jobs::name(jobs::State::succeeded);
  if (outcome == 1) return jobs::name(jobs::State::canceled);
  return jobs::name(static_cast<jobs::ErrorType>(outcome - 1));
}

std::size_t retry_label(std::optional<jobs::Fault> fault, int status) {
  if (fault) return static_cast<std::size_t>(*fault);
  return fault_labels + place_in(status_reasons, status);
}

std::string retry_name(std::size_t reason) {
  if (reason < fault_labels) return jobs::fault_name(static_cast<jobs::Fault>(reason));
  const std::size_t status = reason - fault_labels;
  return status < status_reasons.size() ? std::to_string(status_reasons[status]) : "other_status";
}

std::size_t refusal_label(std::string_view reason) {
  return std::min(place_in(refusal_labels, reason), refusal_labels.size() - 1);
}

Metrics::Metrics(std::size_t count) : shards(count) {
  for (std::size_t i = 0; i < count; ++i) refusals.push_back(std::make_unique<RefusalMetrics>());
}

ShardMetrics::ShardMetrics(Metrics& metrics, std::size_t shard, const Site& site)
    : site_(site), refusals_(*metrics.refusals[shard]) {
  const std::lock_guard lock(metrics.mutex);
  std::vector<std::string> names;
  for (const SiteRoute& route : site.routes()) names.push_back(route.config->name);
  names.push_back(no_route);
  for (const std::string& name : names) {
    routes_.push_back(&metrics.routes.at(name, shard, metrics.shards));
  }
  for (const config::Listener& listener : site.config().listeners) {
    auto& counts = requests_.emplace_back();
    for (const std::string& name : names) {
      counts.push_back(&metrics.requests.at({listener.name, name}, shard, metrics.shards));
    }
    handshakes_.push_back(&metrics.handshakes.at(listener.name, shard, metrics.shards));
  }
  for (const config::Upstream& upstream : site.config().upstreams) {
    Upstream& built = upstreams_.emplace_back();
    built.all = &metrics.upstreams.at(upstream.name, shard, metrics.shards);
    for (const config::Server& server : upstream.servers) {
      built.servers.push_back(
          &metrics.servers.at({upstream.name, server.authority}, shard, metrics.shards));
    }
  }
}

std::size_t ShardMetrics::place_of(const SiteRoute* route) const {
  const bool is_named = route && route->config && !route->config->name.empty();
  return is_named ? route->index : routes_.size() - 1;
}

void ShardMetrics::ended(const Ended& exchange) {
  const std::size_t place = place_of(exchange.route);
  RequestCounts& counts = *requests_[exchange.listener][place];
  counts[method_label(exchange.method)][code_label(exchange.status)].add();
  RouteMetrics& route = *routes_[place];
  route.request_bytes.add(static_cast<std::int64_t>(exchange.bytes_in));
  route.response_bytes.add(static_cast<std::int64_t>(exchange.bytes_out));
  route.duration.observe(exchange.duration.count());
  const bool is_refusal = exchange.status == 0 || exchange.status >= 400;
  if (is_refusal && exchange.reason != "ok" && exchange.reason != "pending") {
    refusals_.counts[refusal_label(exchange.reason)].add();
  }
}

void ShardMetrics::called(const config::Upstream& upstream,
                          std::string_view server,
                          int status,
                          jobs::milliseconds duration) {
  const Upstream& of = upstreams_[index_of(upstream)];
  of.all->duration.observe(duration.count());
  for (std::size_t i = 0; i < of.servers.size(); ++i) {
    if (upstream.servers[i].authority != server) continue;
    of.servers[i]->requests[code_label(status)].add();
    return;
  }
}

void ShardMetrics::ejected(const config::Upstream& upstream, std::size_t server) {
  upstreams_[index_of(upstream)].servers[server]->ejections.add();
}

QueueMetrics& Metrics::queue(const std::string& upstream, const std::string& route) {
  const std::lock_guard lock(mutex);
  auto& queue = queues[{upstream, route}];
  if (!queue) queue = std::make_unique<QueueMetrics>();
  return *queue;
}

}  // namespace raincheck::proxy
