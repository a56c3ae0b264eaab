#include "proxy/generation.hpp"

#include <algorithm>

namespace raincheck::proxy {
namespace {

// A server that both have keeps its calls in flight and what health checks know of it.
std::shared_ptr<Slots> slots_before(const config::Upstream& upstream,
                                    const Generation::Upstream& counters,
                                    const config::Server& server) {
  for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
    if (upstream.servers[i].authority == server.authority) return counters.servers[i];
  }
  return nullptr;
}

// What was found out about servers counts for the same servers under the same rules only.
bool has_same_outliers(const config::Upstream& one, const config::Upstream& other) {
  const auto is_same = [](const config::Server& a, const config::Server& b) {
    return a.authority == b.authority;
  };
  return one.outlier_detection == other.outlier_detection &&
         std::equal(one.servers.begin(), one.servers.end(), other.servers.begin(),
                    other.servers.end(), is_same);
}

}  // namespace

std::size_t Known::upstream(const config::Upstream& upstream) {
  const std::size_t number = upstreams_.of(upstream.name);
  if (number == slots_.size()) {
    slots_.emplace_back(upstream.max_concurrency).set_wake(wake_(number));
  }
  return number;
}

std::uint32_t Known::calls() const {
  std::uint32_t calls = 0;
  for (const Slots& slots : slots_) calls += slots.taken();
  return calls;
}

std::shared_ptr<Slots> Known::make_slots(std::size_t number, std::uint32_t max) const {
  auto slots = std::make_shared<Slots>(max);
  slots->set_wake(wake_(number));
  return slots;
}

Generation::Generation(config::Config config,
                       store::Store& store,
                       Known& known,
                       const Generation* before)
    : site_(std::move(config), store, known.routes()) {
  for (const config::Upstream& upstream : site_.config().upstreams) {
    upstreams_.push_back(make_upstream(upstream, known, before));
    by_number_.emplace(upstreams_.back().number, upstreams_.size() - 1);
  }
  for (const config::Listener& listener : site_.config().listeners) {
    std::string key = listener.address;
    while (find_listener(key) < listener_keys_.size()) key += " too";
    listener_keys_.push_back(key);
    const std::size_t same = before ? before->find_listener(key) : 0;
    connections_.push_back(before && same < before->connections_.size()
                               ? before->connections_[same]
                               : std::make_shared<ConnectionCounts>(listener.limits));
  }
}

Generation::Upstream Generation::make_upstream(const config::Upstream& upstream,
                                               Known& known,
                                               const Generation* before) const {
  Upstream made;
  made.number = known.upstream(upstream);
  made.slots = &known.slots(made.number);
  const config::Upstream* config_before = nullptr;
  const Upstream* counters = nullptr;
  if (const auto index = before ? before->find(made.number) : std::nullopt) {
    config_before = &before->site_.config().upstreams[*index];
    counters = &before->upstreams_[*index];
  }
  for (const config::Server& server : upstream.servers) {
    std::shared_ptr<Slots> slots;
    if (counters) slots = slots_before(*config_before, *counters, server);
    if (!slots) slots = known.make_slots(made.number, slots_of_server(server.max_concurrency));
    made.servers.push_back(std::move(slots));
  }
  const bool passes_over = counters && has_same_outliers(*config_before, upstream);
  made.outliers = passes_over ? counters->outliers : std::make_shared<Outliers>(upstream);
  return made;
}

void Generation::enforce() const {
  const config::Config& config = site_.config();
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    const config::Upstream& upstream = config.upstreams[i];
    upstreams_[i].slots->set_max(upstream.max_concurrency);
    for (std::size_t server = 0; server < upstream.servers.size(); ++server) {
      const std::uint32_t limit = upstream.servers[server].max_concurrency;
      upstreams_[i].servers[server]->set_max(slots_of_server(limit));
    }
  }
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    connections_[i]->set_limits(config.listeners[i].limits);
  }
}

std::optional<std::size_t> Generation::find(std::size_t number) const {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return std::nullopt;
  return found->second;
}

std::size_t Generation::find_listener(const std::string& key) const {
  const auto found = std::find(listener_keys_.begin(), listener_keys_.end(), key);
  return static_cast<std::size_t>(found - listener_keys_.begin());
}

}  // namespace raincheck::proxy
