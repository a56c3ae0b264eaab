// Warnings that every message of a client could repeat: of one kind one a minute is written, with
// how many there were since the last. Each shard has its own; on its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/handshake_failure.hpp"
#include "proxy/timers.hpp"

namespace raincheck::proxy {

// Decides which are written. Memory grows with the kinds, so these must come from the
// configuration, never from a message.
class WarningLimit {
 public:
  static constexpr std::chrono::minutes every{1};

  // How many of the kind were left out since the last that was written; nothing: this one is too.
  std::optional<std::uint64_t> admit(std::string_view kind, TimePoint now);

 private:
  struct Kind {
    TimePoint next{};
    std::uint64_t left_out = 0;
  };
  std::map<std::string, Kind, std::less<>> kinds_;
};

class Warnings {
 public:
  explicit Warnings(Timers& timers) : timers_(timers) {}

  // A body that its route's rules should change and do not. `whose`: "a call" or "an answer".
  void unchanged_body(std::string_view route, std::string_view whose, std::string_view why);
  // A client that a listener does not let in with the certificate that it has shown, or without
  // one. `failure`: an is_refusal().
  void refused_client(const config::Listener& listener,
                      std::string_view client,
                      HandshakeFailure failure,
                      std::string_view why);

  // A new job's.
  void unstored_body(std::string_view why);

 private:
  // "" or " (17 more since the last time)"; nothing: not now.
  std::optional<std::string> admit(std::string_view kind);

  Timers& timers_;
  WarningLimit limit_;
};

}  // namespace raincheck::proxy
