#include "proxy/site.hpp"

#include <fmt/format.h>

#include <numeric>

#include "config/load.hpp"
#include "jobs/idempotency.hpp"

namespace raincheck::proxy {

jobs::Rules make_rules(const config::Route& route) {
  jobs::Rules rules;
  rules.max_attempts = route.retry.max_attempts;
  rules.on_connect_failure = route.retry.on_connect_failure;
  rules.on_timeout = route.retry.on_timeout;
  rules.on_status = route.retry.on_status;
  rules.backoff = route.retry.backoff;
  rules.max_backoff = route.retry.max_backoff;
  rules.success.clear();
  for (const config::StatusRange& range : route.async.success.status) {
    rules.success.emplace_back(range.first, range.last);
  }
  return rules;
}

namespace {

// The same at every start, and tells nothing of the secret.
std::string make_pseudonym(const jobs::IdCodec::Secret& secret) {
  const std::string bytes(secret.begin(), secret.end());
  const jobs::BodyDigest::Value digest = jobs::digest_body("pseudonym in Via:" + bytes);
  return fmt::format("raincheck-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2],
                     digest[3]);
}

}  // namespace

Site::Site(config::Config config, store::Store& store, KnownRoutes& known)
    : config_(std::move(config)),
      pseudonym_(make_pseudonym(store.backend().secret())),
      trusted_(config_.trusted_proxies),
      tls_(config_, config::Environment::process().file, jobs::system_clock().wall_now()),
      table_(config_, config::Environment::process().file) {
  for (const TlsProblem& problem : tls_.problems()) {
    if (!problem.is_warning) throw std::runtime_error(problem.path + ": " + problem.message);
  }
  for (const config::Upstream& upstream : config_.upstreams) {
    upstreams_by_name_.emplace(upstream.name, upstreams_by_name_.size());
  }
  for (const config::Route& route : config_.routes) {
    SiteRoute& built = routes_.emplace_back();
    built.config = &route;
    built.index = routes_.size() - 1;
    built.known = &known.of(route.name);
    built.upstream = upstream_index(route.upstream);
    built.auth_service = upstream_index(route.authorize.service);
    built.body_max = route.limits.body.value_or(0);
    built.retention = route.async.retention_result.value_or(config_.jobs.retention.result);
    const routes::RouteMatch compiled = table_.of(route);
    built.pattern = compiled.pattern;
    built.rules = compiled.rules;
    built.decisions = make_rules(route);
    cors_of_jobs_.add(built.rules->cors);
    by_name_.emplace(route.name, &built);
    by_config_.emplace(&route, &built);
  }
  if (!config_.default_upstream.empty()) build_unmatched();
  const auto turn = store.between_commits();
  count_lanes(store.backend());
}

void Site::build_unmatched() {
  default_upstream_ = upstream_index(config_.default_upstream);
  default_route_.emplace(config_.upstreams[*default_upstream_]);
  unmatched_.config = &default_route_->config;
  unmatched_.upstream = *default_upstream_;
  unmatched_.rules = &default_route_->rules;
}

std::size_t Site::upstream_index(std::string_view name) const {
  const auto found = upstreams_by_name_.find(name);
  return found == upstreams_by_name_.end() ? config_.upstreams.size() : found->second;
}

void Site::open_lanes(store::Store& store) {
  std::vector<store::LaneName> names;
  for (const SiteRoute& route : routes_) {
    if (route.config->async.mode == config::Mode::never) continue;
    store::LaneName& name = names.emplace_back();
    name.upstream = route.config->upstream;
    name.route = route.config->name;
    name.priority = static_cast<std::uint8_t>(route.config->async.priority);
    store::LaneName held = name;
    held.priority |= held_lane_mark;
    names.push_back(std::move(held));
  }
  const auto turn = store.between_commits();
  store::Backend& backend = store.backend();
  const std::vector<std::uint32_t> numbers = backend.open_lanes(names);
  auto number = numbers.begin();
  for (SiteRoute& route : routes_) {
    if (route.config->async.mode == config::Mode::never) continue;
    route.lane = *number++;
    route.held_lane = *number++;
  }
  count_lanes(backend);
}

void Site::count_lanes(store::Backend& backend) {
  lanes_.clear();
  by_upstream_.assign(config_.upstreams.size(), {});
  for (store::Lane& counted : backend.lanes()) {
    SiteLane& lane = lanes_.emplace_back();
    static_cast<store::Lane&>(lane) = std::move(counted);
    lane.queued_for = upstream_index(lane.name.upstream);
    lane.route = find(lane.name.route);
  }
  for (const SiteLane& lane : lanes_) {
    if (lane.route) by_upstream_[lane.route->upstream].push_back(&lane);
  }
}

const SiteLane* Site::lane(std::uint32_t number) const {
  return number > 0 && number <= lanes_.size() ? &lanes_[number - 1] : nullptr;
}

std::uint64_t Site::queued() const {
  return std::accumulate(lanes_.begin(), lanes_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const SiteLane& lane) { return sum + lane.queued; });
}

const SiteRoute* Site::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

}  // namespace raincheck::proxy
