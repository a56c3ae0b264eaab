#include "proxy/warnings.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace raincheck::proxy {
namespace {

std::string more_since(std::uint64_t left_out) {
  return left_out == 0 ? "" : fmt::format(" ({} more since the last time)", left_out);
}

}  // namespace

std::optional<std::uint64_t> WarningLimit::admit(std::string_view kind, TimePoint now) {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end()) {
    kinds_.emplace(kind, Kind{now + every, 0});
    return 0;
  }
  Kind& known = found->second;
  if (now < known.next) {
    ++known.left_out;
    return std::nullopt;
  }
  known.next = now + every;
  return std::exchange(known.left_out, 0);
}

void Warnings::unchanged_body(std::string_view route,
                              std::string_view whose,
                              std::string_view why) {
  // What follows the colon speaks of the message: where its JSON ends, what its coding is called.
  const std::string kind = fmt::format("{} {} {}", route, whose, why.substr(0, why.find(':')));
  const auto left_out = limit_.admit(kind, timers_.now());
  if (!left_out) return;
  spdlog::warn("route {}: the body of {} is not changed as its rules say: {}{}", route, whose, why,
               more_since(*left_out));
}

void Warnings::refused_client(const config::Listener& listener,
                              std::string_view client,
                              HandshakeFailure failure,
                              std::string_view why) {
  const std::string_view reason = handshake_failure_labels[label_of(failure)];
  const auto left_out =
      limit_.admit(fmt::format("listener {} {}", listener.name, reason), timers_.now());
  if (!left_out) return;
  std::string file;
  if (is_of_crl(failure)) file = fmt::format(": renew '{}'", listener.tls.crl_file.path);
  spdlog::warn("listener {}: a client at {} is refused ({}): {}{}{}", listener.name, client, reason,
               why, file, more_since(*left_out));
}

}  // namespace raincheck::proxy
