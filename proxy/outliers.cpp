#include "proxy/outliers.hpp"

#include <algorithm>

namespace raincheck::proxy {

using jobs::Fault;
using jobs::milliseconds;
using jobs::TimePoint;

Verdict verdict_of(std::optional<Fault> fault, int status) {
  if (!fault) {
    const bool is_gateway_error = status >= 502 && status <= 504;
    return is_gateway_error ? Verdict::bad : Verdict::good;
  }
  switch (*fault) {
    case Fault::upstream_unreachable:
    case Fault::upstream_lost:
    case Fault::upstream_timeout:
    case Fault::upstream_protocol_error:
      return Verdict::bad;
    case Fault::internal:
    case Fault::overloaded:
    case Fault::store_full:
    case Fault::store_failed:
    case Fault::stopping:
    case Fault::response_too_large:
    case Fault::rewrite_failed:
    case Fault::client_gone:
      return Verdict::nothing;
  }
  return Verdict::nothing;
}

Outliers::Outliers(const config::Upstream& upstream)
    : settings_(upstream.outlier_detection),
      ejected_max_(
          std::min(upstream.servers.size() * settings_.max_ejected_percent / 100,
                   upstream.servers.size() - std::min<std::size_t>(upstream.servers.size(), 1))),
      servers_(upstream.servers.size()) {}

bool Outliers::has_returned(std::size_t server, TimePoint now) {
  Server& of = servers_[server];
  return of.returns.load(std::memory_order_relaxed) && !is_ejected(server, now) &&
         of.returns.exchange(false);
}

void Outliers::succeeded(std::size_t server) {
  std::atomic<std::uint32_t>& errors = servers_[server].errors;
  // Written only where there is something to write: every call of every shard comes by here.
  if (errors.load(std::memory_order_relaxed) != 0) errors = 0;
}

std::optional<milliseconds> Outliers::failed(std::size_t server, TimePoint now) {
  if (settings_.consecutive_errors == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  Server& of = servers_[server];
  if (is_ejected(server, now)) return std::nullopt;
  if (++of.errors < settings_.consecutive_errors || !may_eject(now)) return std::nullopt;
  const TimePoint returned = of.ejected_until;
  const bool is_again = of.times != 0 && now < returned + of.times * settings_.ejection_time;
  of.times = is_again ? std::min(of.times + 1, longest) : 1;
  const milliseconds time = of.times * settings_.ejection_time;
  of.errors = 0;
  of.ejected_until = now + time;
  of.returns = true;
  return time;
}

bool Outliers::may_eject(TimePoint now) const {
  std::size_t ejected = 0;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (is_ejected(i, now)) ++ejected;
  }
  return ejected < ejected_max_;
}

}  // namespace raincheck::proxy
