// The keys with which a listener's session tickets are encrypted: in memory only, the same on all
// shards, and replaced every hour, so that what was recorded cannot be read for long. The key
// before is accepted still. Owned by a ServerTls; any thread.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <vector>

#include "jobs/clock.hpp"

namespace raincheck::proxy {

class TicketKeys {
 public:
  using Time = jobs::TimePoint;

  // How long a key is used, and a ticket good.
  static constexpr std::chrono::hours period{1};

  struct Key {
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, 32> cipher{};
    std::array<unsigned char, 32> mac{};
    Time made{};
  };

  // For a new ticket.
  Key current(Time now);
  // The one of that name, if its tickets may still be good.
  std::optional<Key> find(const unsigned char* name, Time now) const;

  // From now on `context` gives out and takes tickets of these keys, which must outlive every
  // handshake with it.
  void use_in(SSL_CTX* context);

 private:
  static int on_ticket(SSL* ssl,
                       unsigned char* name,
                       unsigned char* iv,
                       EVP_CIPHER_CTX* cipher,
                       EVP_MAC_CTX* mac,
                       int encrypts);

  mutable std::mutex mutex_;  // taken for each handshake, for a moment
  std::vector<Key> keys_;     // the current one first; two at most
};

}  // namespace raincheck::proxy
