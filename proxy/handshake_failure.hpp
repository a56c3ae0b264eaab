// Why the TLS handshake of a client with a listener failed: one of a closed list, whatever the
// client sends. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace raincheck::proxy {

// The words are a label of metrics, and those of docs/metrics.md.
enum class HandshakeFailure : std::uint8_t {
  client_certificate_missing,
  client_certificate_expired,
  client_certificate_revoked,
  client_certificate_unknown,  // of no CA that the listener knows
  client_certificate_invalid,  // whatever else is wrong with it
  crl_expired,
  crl_unusable,  // there is none of the client's CA, or nothing can be told from it
  server_certificate_refused,
  protocol,  // the client speaks another one, or no version or cipher that we do
  timeout,
  closed,  // the connection ended
  other,
};

constexpr std::array<std::string_view, 12> handshake_failure_labels = {"client_certificate_missing",
                                                                       "client_certificate_expired",
                                                                       "client_certificate_revoked",
                                                                       "client_certificate_unknown",
                                                                       "client_certificate_invalid",
                                                                       "crl_expired",
                                                                       "crl_unusable",
                                                                       "server_certificate_refused",
                                                                       "protocol",
                                                                       "timeout",
                                                                       "closed",
                                                                       "other"};
constexpr std::size_t label_of(HandshakeFailure failure) {
  return static_cast<std::size_t>(failure);
}
static_assert(handshake_failure_labels.size() == label_of(HandshakeFailure::other) + 1);

// `verified` is X509_V_..., and `error` the first of OpenSSL's queue; 0: there is none.
HandshakeFailure handshake_failure(long verified, unsigned long error);

// The listener asked for a certificate, and does not let the client in with what it has shown.
constexpr bool is_refusal(HandshakeFailure failure) {
  return failure <= HandshakeFailure::crl_unusable;
}
// It is the CRL that keeps the client out, and not its certificate.
constexpr bool is_of_crl(HandshakeFailure failure) {
  return failure == HandshakeFailure::crl_expired || failure == HandshakeFailure::crl_unusable;
}

}  // namespace raincheck::proxy
