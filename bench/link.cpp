#include "bench/link.hpp"

#include <openssl/err.h>
#include <poll.h>

#include <stdexcept>
#include <string>

namespace raincheck::bench {
namespace {

SSL_CTX* tls_context() {
  static SSL_CTX* const context = [] {
    SSL_CTX* const made = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return made;
  }();
  return context;
}

std::ptrdiff_t outcome(SSL* tls, int result) {
  const int error = SSL_get_error(tls, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return would_block;
  return error == SSL_ERROR_ZERO_RETURN ? 0 : broken;
}

}  // namespace

Link::Link(const Address& server, bool is_tls) : socket_(connect_to(server)) {
  if (!is_tls) return;
  tls_.reset(SSL_new(tls_context()));
  SSL_set_fd(tls_.get(), socket_.get());
  shake_hands();
}

void Link::shake_hands() {
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(tls_.get());
    if (result == 1) return;
    const int error = SSL_get_error(tls_.get(), result);
    pollfd waiting{};
    waiting.fd = socket_.get();
    waiting.events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    const bool goes_on = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (!goes_on || poll(&waiting, 1, 10'000) != 1) {
      const char* const why = ERR_reason_error_string(ERR_peek_error());
      throw std::runtime_error(std::string("TLS: ") + (why ? why : "no answer"));
    }
  }
}

std::ptrdiff_t Link::receive(std::span<char> into) {
  if (!tls_) return bench::receive(socket_, into);
  ERR_clear_error();
  const int count = SSL_read(tls_.get(), into.data(), static_cast<int>(into.size()));
  return count > 0 ? count : outcome(tls_.get(), count);
}

std::ptrdiff_t Link::send(std::string_view bytes) {
  if (!tls_) return bench::send(socket_, bytes);
  ERR_clear_error();
  const int count = SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
  return count > 0 ? count : outcome(tls_.get(), count);
}

}  // namespace raincheck::bench
