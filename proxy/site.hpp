// One configuration, made ready to serve: its routes with their rules and their lanes, found by
// request or by name. Immutable once it serves; read from any shard.
#pragma once

#include <atomic>
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

// What is known of a route by its name, in whatever configuration. Any thread.
struct KnownRoute {
  explicit KnownRoute(std::size_t of) : number(of) {}

  const std::size_t number;         // small, and without a gap
  std::atomic<bool> paused{false};  // by an operator: no job of it begins
};

// Knows each route for as long as this lives. One thread at a time.
class KnownRoutes {
 public:
  KnownRoute& of(const std::string& name) {
    return routes_.try_emplace(name, routes_.size()).first->second;
  }

 private:
  std::unordered_map<std::string, KnownRoute> routes_;
};

// A route as requests meet it.
struct SiteRoute {
  const config::Route* config = nullptr;  // all defaults: Site::unmatched()
  std::size_t index = 0;                  // in Site::routes()
  KnownRoute* known = nullptr;            // null: Site::unmatched()
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

  // It makes some, or, paused, may have some of before it was `mode: never`.
  bool has_jobs() const { return lane != 0 || (known && known->paused); }
};

// A lane of the store, as it was when it was counted last. Its jobs are carried out as their route
// says today, at whatever upstream they were queued for.
struct SiteLane : store::Lane {
  const SiteRoute* route = nullptr;  // null: it is not configured, and what waits in the lane ends
  // In Config::upstreams, of its name: past the end, it is not there.
  std::size_t queued_for = 0;
};

class Site {
 public:
  // Throws std::runtime_error when the routes contradict each other, or a certificate cannot be
  // used. The store may be at work.
  Site(config::Config config, store::Store& store, KnownRoutes& known);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  // Before it serves: opens the lanes that its routes need. Throws std::runtime_error.
  void open_lanes(store::Store& store);

  const config::Config& config() const { return config_; }
  const std::deque<SiteRoute>& routes() const { return routes_; }
  // Every lane of the store.
  const std::vector<SiteLane>& lanes() const { return lanes_; }
  // Null: it is none of them.
  const SiteLane* lane(std::uint32_t number) const;
  // Those whose jobs are carried out at an upstream.
  const std::vector<const SiteLane*>& lanes_of(std::size_t upstream) const {
    return by_upstream_[upstream];
  }
  // Jobs that were queued when the lanes were counted last.
  std::uint64_t queued() const;
  // Between commits.
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
  // In Config::upstreams, past its end: it is not there.
  std::size_t upstream_index(std::string_view name) const;
  void build_unmatched();

  const config::Config config_;
  const std::string pseudonym_;
  const TrustedProxies trusted_;
  const TlsContexts tls_;
  routes::RouteTable table_;
  std::deque<SiteRoute> routes_;
  routes::Cors cors_of_jobs_;
  std::optional<routes::DefaultRoute> default_route_;
  SiteRoute unmatched_;
  std::vector<SiteLane> lanes_;  // lane n is at n - 1
  std::vector<std::vector<const SiteLane*>> by_upstream_;
  std::unordered_map<std::string_view, std::size_t> upstreams_by_name_;
  std::unordered_map<std::string_view, const SiteRoute*> by_name_;
  std::unordered_map<const config::Route*, const SiteRoute*> by_config_;
  std::optional<std::size_t> default_upstream_;
};

jobs::Rules make_rules(const config::Route& route);

}  // namespace raincheck::proxy
