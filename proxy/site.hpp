// One configuration, made ready to serve: its routes with their rules and their lanes, found by
// request or by name. Immutable once built; read from any shard.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.hpp"
#include "jobs/decide.hpp"
#include "proxy/tls_contexts.hpp"
#include "proxy/trusted_proxies.hpp"
#include "routes/default_route.hpp"
#include "routes/route_table.hpp"
#include "store/store.hpp"

namespace raincheck::proxy {

// The lane of held calls has the priority of the queue beside it, marked.
constexpr std::uint8_t held_lane_mark = 0x80;

// A route as requests meet it.
struct SiteRoute {
  const config::Route* config = nullptr;  // all defaults: Site::unmatched()
  std::size_t index = 0;                  // in Site::routes()
  std::size_t number = 0;                 // of its name: the same in every configuration
  std::size_t upstream = 0;               // in Config::upstreams
  std::size_t auth_service = 0;           // the same, where Config::authorize is not empty
  std::uint32_t lane = 0;                 // where its jobs queue; 0 for `mode: never`
  // Where its calls become jobs that are under way already: beside the queue, for they run whatever
  // is queued before them.
  std::uint32_t held_lane = 0;
  std::uint64_t body_max = 0;
  const routes::PathPattern* pattern = nullptr;
  const routes::RouteRules* rules = nullptr;  // what it changes on the way
  jobs::milliseconds retention{};
  jobs::Rules decisions;
};

// Gives each name a number of its own, which it keeps as long as this lives: small, and without a
// gap. One thread at a time.
class Numbers {
 public:
  std::size_t of(const std::string& name) {
    return numbers_.try_emplace(name, numbers_.size()).first->second;
  }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
};

class Site {
 public:
  // Throws std::runtime_error when the routes contradict each other, or a certificate cannot be
  // used. Opens the lanes that the routes need; the store may be at work. `numbers`: of routes.
  Site(config::Config config, store::Store& store, Numbers& numbers);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  const config::Config& config() const { return config_; }
  const std::deque<SiteRoute>& routes() const { return routes_; }
  // The lanes of an upstream, one for each priority that its routes use, and those with jobs of
  // former routes.
  const std::vector<store::Lane>& lanes(std::size_t upstream) const { return lanes_[upstream]; }
  // How long jobs of a lane may wait for their first attempt, but for the longest.
  std::vector<jobs::milliseconds> shorter_waits(std::uint32_t lane) const;
  // Whose jobs a lane has; null: it is no lane of this store.
  const std::string* upstream_of(std::uint32_t lane) const;
  // Of upstreams that the configuration no longer has.
  const std::vector<store::Lane>& abandoned_lanes() const { return abandoned_; }
  // Jobs that were queued when the lanes were counted last.
  std::uint64_t queued() const;
  // Start-up: counts what waits in the lanes anew, for recovery queues jobs again.
  void count_lanes(store::Backend& backend);

  const SiteRoute* find(std::string_view name) const;
  const SiteRoute& of(const config::Route& route) const { return *by_config_.at(&route); }
  // The route of what no route matches: `default_upstream`, and every setting's default.
  const SiteRoute& unmatched() const { return unmatched_; }
  // In Config::upstreams, of `default_upstream`.
  std::optional<std::size_t> default_upstream() const { return default_upstream_; }
  const routes::RouteTable& table() const { return table_; }
  // Who may ask about jobs from a browser: who may use a route that makes them.
  const routes::Cors& cors_of_jobs() const { return cors_of_jobs_; }
  const TlsContexts& tls() const { return tls_; }
  const TrustedProxies& trusted() const { return trusted_; }
  // Of this proxy in Via: each store has its own, so that several in a row are no loop.
  const std::string& pseudonym() const { return pseudonym_; }

 private:
  std::size_t upstream_index(std::string_view name) const;
  void build_unmatched();
  void open_lanes(store::Store& store);

  const config::Config config_;
  const std::string pseudonym_;
  const TrustedProxies trusted_;
  const TlsContexts tls_;
  routes::RouteTable table_;
  std::deque<SiteRoute> routes_;
  routes::Cors cors_of_jobs_;
  std::optional<routes::DefaultRoute> default_route_;
  SiteRoute unmatched_;
  std::vector<std::vector<store::Lane>> lanes_;
  std::vector<store::Lane> abandoned_;
  std::unordered_map<std::string_view, const SiteRoute*> by_name_;
  std::unordered_map<const config::Route*, const SiteRoute*> by_config_;
  std::optional<std::size_t> default_upstream_;
};

jobs::Rules make_rules(const config::Route& route);

}  // namespace raincheck::proxy
