#include "proxy/warnings.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace raincheck::proxy {
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
  const auto more = admit(kind);
  if (!more) return;
  spdlog::warn("route {}: the body of {} is not changed as its rules say: {}{}", route, whose, why,
               *more);
}

void Warnings::refused_client(const config::Listener& listener,
                              std::string_view client,
                              HandshakeFailure failure,
                              std::string_view why) {
  const std::string_view reason = handshake_failure_labels[label_of(failure)];
  const auto more = admit(fmt::format("listener {} {}", listener.name, reason));
  if (!more) return;
  std::string file;
  if (is_of_crl(failure)) file = fmt::format(": renew '{}'", listener.tls.crl_file.path);
  spdlog::warn("listener {}: a client at {} is refused ({}): {}{}{}", listener.name, client, reason,
               why, file, *more);
}

void Warnings::unstored_body(std::string_view why) {
  const auto more = admit("a request body");
  if (more) spdlog::warn("a request body cannot be stored: {}{}", why, *more);
}

std::optional<std::string> Warnings::admit(std::string_view kind) {
  const auto left_out = limit_.admit(kind, timers_.now());
  if (!left_out) return std::nullopt;
  return *left_out == 0 ? "" : fmt::format(" ({} more since the last time)", *left_out);
}

}  // namespace raincheck::proxy
