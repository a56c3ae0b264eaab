// One configuration that serves, with what all shards have in common for it. A reload makes the
// next one, which takes over the counters of what bears the same name, so that limits hold across
// both; the earlier one serves what it has begun, and goes with the last of it. Shared by the
// shards; nothing in it changes but the counters. Any thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/connection_counts.hpp"
#include "proxy/outliers.hpp"
#include "proxy/site.hpp"
#include "proxy/slots.hpp"

namespace raincheck::proxy {

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

// What is known of upstreams and routes, by name, for as long as the process lives. Main thread.
class Known {
 public:
  // Makes what Slots::set_wake() takes, for the upstream of a number.
  using Wake = std::function<std::vector<std::function<void()>>(std::size_t upstream)>;

  explicit Known(Wake wake) : wake_(std::move(wake)) {}

  KnownRoutes& routes() { return routes_; }
  // The number of an upstream's name, and its slots: jobs under way hold them whatever is reloaded.
  std::size_t upstream(const config::Upstream& upstream);
  Slots& slots(std::size_t number) { return slots_[number]; }
  // In flight, of all upstreams that there were.
  std::uint32_t calls() const;
  // Of one server.
  std::shared_ptr<Slots> make_slots(std::size_t number, std::uint32_t max) const;

 private:
  const Wake wake_;
  KnownRoutes routes_;
  Numbers upstreams_;
  std::deque<Slots> slots_;  // by number
};

class Generation {
 public:
  // Beside Config::upstreams.
  struct Upstream {
    std::size_t number = 0;
    Slots* slots = nullptr;
    ServerSlots servers;
    std::shared_ptr<Outliers> outliers;
  };

  // Throws std::runtime_error if the configuration cannot serve. `before`: whose counters pass
  // over; null: there is none. Before it serves, Site::open_lanes() has to be called.
  Generation(config::Config config, store::Store& store, Known& known, const Generation* before);

  // Limits of what passed over are this one's from now on.
  void enforce() const;

  const Site& site() const { return site_; }
  // Before it serves.
  Site& site() { return site_; }
  const std::vector<Upstream>& upstreams() const { return upstreams_; }
  // In upstreams(), of a number; nothing: the configuration does not have it.
  std::optional<std::size_t> find(std::size_t number) const;
  // Beside Config::listeners.
  const std::shared_ptr<ConnectionCounts>& connections(std::size_t listener) const {
    return connections_[listener];
  }
  // What a listener is known by in every configuration that has it: its address, and for another at
  // the same one (port 0) which of them it is.
  const std::string& listener_key(std::size_t listener) const { return listener_keys_[listener]; }
  // In Config::listeners; past its end: it does not have it.
  std::size_t find_listener(const std::string& key) const;

 private:
  Upstream make_upstream(const config::Upstream& upstream,
                         Known& known,
                         const Generation* before) const;

  Site site_;
  std::vector<Upstream> upstreams_;
  std::unordered_map<std::size_t, std::size_t> by_number_;
  std::vector<std::string> listener_keys_;
  std::vector<std::shared_ptr<ConnectionCounts>> connections_;
};

}  // namespace raincheck::proxy
