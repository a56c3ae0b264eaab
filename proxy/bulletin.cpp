#include "proxy/bulletin.hpp"

#include <boost/asio/post.hpp>
#include <memory>

namespace raincheck::proxy {

void Bulletin::publish(const JobChange& change) {
  take(change);
  if (others_.empty()) return;
  if (outgoing_.empty()) boost::asio::post(io_, [this] { flush(); });
  outgoing_.push_back(change);
}

void Bulletin::take(const JobChange& change) {
  if (change.final && change.ran.count() >= 0) {
    if (durations_.size() <= change.route) durations_.resize(change.route + 1);
    durations_[change.route].waited.add(change.waited);
    durations_[change.route].ran.add(change.ran);
  }
  const auto [begin, end] = waiters_.equal_range(change.key);
  for (auto waiter = begin; waiter != end; ++waiter) waiter->second->notify();
}

const RouteDurations& Bulletin::durations(std::size_t route) const {
  static const RouteDurations unknown;
  return route < durations_.size() ? durations_[route] : unknown;
}

void Bulletin::flush() {
  const auto changes = std::make_shared<const std::vector<JobChange>>(std::move(outgoing_));
  outgoing_.clear();
  for (Bulletin* const other : others_) {
    boost::asio::post(other->io_, [other, changes] {
      for (const JobChange& change : *changes) other->take(change);
    });
  }
}

Bulletin::Watch::Watch(Bulletin& bulletin, std::int64_t key)
    : bulletin_(bulletin),
      signal_(bulletin.io_, bulletin.timers_),
      entry_(bulletin.waiters_.emplace(key, this)) {}

Bulletin::Watch::~Watch() {
  bulletin_.waiters_.erase(entry_);
}

void Bulletin::release_waiters() {
  for (const auto& [key, watch] : waiters_) watch->notify();
}

}  // namespace raincheck::proxy
