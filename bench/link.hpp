// One connection of the load: a socket, and TLS on it where the URL says https. The handshake is
// made at once and never resumed; the certificate is not looked at. What fails here fails the
// program. Used from one thread.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "bench/network.hpp"

namespace raincheck::bench {

class Link {
 public:
  Link() = default;
  Link(const Address& server, bool is_tls);

  const Descriptor& socket() const { return socket_; }
  // As receive() and send() of a Descriptor.
  std::ptrdiff_t receive(std::span<char> into);
  std::ptrdiff_t send(std::string_view bytes);
  // Something was read from the socket and is still to be received: no event tells of it.
  bool has_more() const { return tls_ && SSL_pending(tls_.get()) > 0; }

 private:
  struct Free {
    void operator()(SSL* tls) const { SSL_free(tls); }
  };

  void shake_hands();

  Descriptor socket_;
  std::unique_ptr<SSL, Free> tls_;
};

}  // namespace raincheck::bench
