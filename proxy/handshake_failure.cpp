#include "proxy/handshake_failure.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <utility>

#include "proxy/certificates.hpp"

namespace raincheck::proxy {
namespace {

using Failure = HandshakeFailure;

// What is in neither table is a fault of the certificate, or other.
constexpr std::pair<long, Failure> of_verification[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, Failure::client_certificate_expired},
    {X509_V_ERR_CERT_REVOKED, Failure::client_certificate_revoked},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, Failure::client_certificate_unknown},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, Failure::client_certificate_unknown},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, Failure::client_certificate_unknown},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, Failure::client_certificate_unknown},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, Failure::client_certificate_unknown},
    {X509_V_ERR_CRL_HAS_EXPIRED, Failure::crl_expired},
    {X509_V_ERR_UNABLE_TO_GET_CRL, Failure::crl_unusable},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, Failure::crl_unusable},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, Failure::crl_unusable},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, Failure::crl_unusable},
    {X509_V_ERR_CRL_NOT_YET_VALID, Failure::crl_unusable},
    {X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, Failure::crl_unusable},
    {X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, Failure::crl_unusable},
    {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, Failure::crl_unusable},
    {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, Failure::crl_unusable},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, Failure::crl_unusable},
    {X509_V_ERR_CRL_PATH_VALIDATION_ERROR, Failure::crl_unusable},
};

constexpr std::pair<int, Failure> of_reason[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, Failure::client_certificate_missing},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, Failure::closed},
    {SSL_R_WRONG_VERSION_NUMBER, Failure::protocol},
    {SSL_R_HTTP_REQUEST, Failure::protocol},
    {SSL_R_UNSUPPORTED_PROTOCOL, Failure::protocol},
    {SSL_R_VERSION_TOO_LOW, Failure::protocol},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, Failure::protocol},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, Failure::protocol},
    {SSL_R_INAPPROPRIATE_FALLBACK, Failure::protocol},
    {SSL_R_NO_SHARED_CIPHER, Failure::protocol},
    {SSL_R_NO_SHARED_GROUPS, Failure::protocol},
    {SSL_R_NO_SUITABLE_KEY_SHARE, Failure::protocol},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, Failure::protocol},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, Failure::protocol},
    {SSL_R_NO_APPLICATION_PROTOCOL, Failure::protocol},
};

template <class Table, class Key>
Failure find(const Table& table, Key key, Failure otherwise) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [key](const auto& each) { return each.first == key; });
  return found == std::end(table) ? otherwise : found->second;
}

}  // namespace

HandshakeFailure handshake_failure(long verified, unsigned long error) {
  if (verified != X509_V_OK) {
    return find(of_verification, verified, Failure::client_certificate_invalid);
  }
  if (error == 0) return Failure::closed;
  if (refuses_certificate(error)) return Failure::server_certificate_refused;
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return Failure::other;
  return find(of_reason, ERR_GET_REASON(error), Failure::other);
}

}  // namespace raincheck::proxy
