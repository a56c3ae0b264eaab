// Certificates and keys as they stand in PEM files, and what they and their faults are called.
// Reads texts, not files. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobs/clock.hpp"
#include "proxy/openssl.hpp"

namespace raincheck::proxy {

// In their order; none, and take_openssl_error() says why, if one cannot be read.
std::vector<OpensslPtr<X509>> read_certificates(std::string_view pem);
std::vector<OpensslPtr<X509_CRL>> read_crls(std::string_view pem);
// Null: there is none, or it has a passphrase.
OpensslPtr<EVP_PKEY> read_key(std::string_view pem);

jobs::WallTime not_after(const X509& certificate);
jobs::WallTime next_update(const X509_CRL& list);  // far in the future if it does not say

// The host names that it is for, in lower case: those of subjectAltName, else its common name.
std::vector<std::string> names_of(const X509& certificate);

// Which certificate is shown to who asks for a name (SNI).
class ServerNames {
 public:
  // `name` may be *.example.com. The first that has a name keeps it.
  void add(std::string name, std::size_t certificate);
  // 0, the default, for a name that none has.
  std::size_t find(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::size_t>> names_;  // sorted
};

// What ${client.certificate.NAME} are, as the field lines with which a stored request begins:
// "client_certificate_NAME: value\r\n". No client can send such a field, for names with '_' are
// left out.
constexpr std::string_view client_certificate_prefix = "client_certificate_";
std::string client_certificate_lines(const X509& certificate);

// In words, what X509_V_ERR_... says of a peer's certificate.
std::string certificate_problem(long verified);
// The peer has ended the handshake because of our certificate. Of an error of OpenSSL's queue.
bool refuses_certificate(unsigned long error);
// Why a handshake failed, of OpenSSL's reason.
std::string handshake_problem(const std::string& reason);

}  // namespace raincheck::proxy
