#include "proxy/handshake_failure.hpp"

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <set>

using namespace raincheck::proxy;

namespace {

HandshakeFailure of_ssl(int reason) {
  return handshake_failure(X509_V_OK, ERR_PACK(ERR_LIB_SSL, 0, reason));
}

}  // namespace

TEST_CASE("whatever the client sends, why a handshake failed is one of a closed list") {
  const std::set<std::string_view> names(handshake_failure_labels.begin(),
                                         handshake_failure_labels.end());
  CHECK(names.size() == handshake_failure_labels.size());
  for (int reason = 0; reason < 2'000; ++reason) {
    CHECK(label_of(of_ssl(reason)) < handshake_failure_labels.size());
    CHECK_FALSE(is_of_crl(of_ssl(reason)));
  }
  for (long verified = 1; verified < 200; ++verified) {
    CHECK(is_refusal(handshake_failure(verified, 0)));
  }
}

TEST_CASE("why a client's certificate does not let it in") {
  const auto of = [](long verified) {
    return handshake_failure_labels[label_of(handshake_failure(verified, 1))];
  };
  CHECK(of(X509_V_ERR_CERT_HAS_EXPIRED) == "client_certificate_expired");
  CHECK(of(X509_V_ERR_CERT_REVOKED) == "client_certificate_revoked");
  CHECK(of(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY) == "client_certificate_unknown");
  CHECK(of(X509_V_ERR_CERT_NOT_YET_VALID) == "client_certificate_invalid");
  CHECK(of(X509_V_ERR_INVALID_PURPOSE) == "client_certificate_invalid");
  CHECK(of(X509_V_ERR_CRL_HAS_EXPIRED) == "crl_expired");
  CHECK(of(X509_V_ERR_UNABLE_TO_GET_CRL) == "crl_unusable");
}

TEST_CASE("why a handshake failed besides") {
  CHECK(of_ssl(SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) ==
        HandshakeFailure::client_certificate_missing);
  CHECK(of_ssl(SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED) ==
        HandshakeFailure::server_certificate_refused);
  CHECK(of_ssl(SSL_R_NO_SHARED_CIPHER) == HandshakeFailure::protocol);
  CHECK(of_ssl(SSL_R_BAD_PACKET) == HandshakeFailure::other);
  CHECK(handshake_failure(X509_V_OK, ERR_PACK(ERR_LIB_ASN1, 0, SSL_R_NO_SHARED_CIPHER)) ==
        HandshakeFailure::other);
  CHECK(handshake_failure(X509_V_OK, 0) == HandshakeFailure::closed);
  for (const auto failure : {HandshakeFailure::server_certificate_refused,
                             HandshakeFailure::timeout, HandshakeFailure::closed}) {
    CHECK_FALSE(is_refusal(failure));
  }
}
