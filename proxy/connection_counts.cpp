#include "proxy/connection_counts.hpp"

namespace raincheck::proxy {

void ConnectionCounts::set_limits(const config::ListenerLimits& limits) {
  const std::lock_guard lock(mutex_);
  max_ = limits.connections;
  max_of_client_ = limits.connections_per_client;
}

bool ConnectionCounts::add(const std::string& client) {
  const std::lock_guard lock(mutex_);
  if (all_ >= max_) return false;
  if (!client.empty() && !add_to(client)) return false;
  ++all_;
  return true;
}

bool ConnectionCounts::name(const std::string& client) {
  const std::lock_guard lock(mutex_);
  return add_to(client);
}

bool ConnectionCounts::add_to(const std::string& client) {
  std::uint32_t& of_client = by_client_[client];
  if (of_client >= max_of_client_) return false;
  ++of_client;
  return true;
}

std::uint32_t ConnectionCounts::open() {
  const std::lock_guard lock(mutex_);
  return all_;
}

void ConnectionCounts::remove(const std::string& client) {
  const std::lock_guard lock(mutex_);
  --all_;
  if (client.empty()) return;
  const auto found = by_client_.find(client);
  if (--found->second == 0) by_client_.erase(found);
}

}  // namespace raincheck::proxy
