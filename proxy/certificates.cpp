#include "proxy/certificates.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "config/text.hpp"
#include "routes/fields.hpp"

namespace raincheck::proxy {
namespace {

OpensslPtr<BIO> reader_of(std::string_view text) {
  return OpensslPtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Those of one kind in a PEM text. A text that ends after them is no error.
template <class T, class Read>
std::vector<OpensslPtr<T>> read_all(std::string_view pem, Read read) {
  ERR_clear_error();
  const OpensslPtr<BIO> bio = reader_of(pem);
  std::vector<OpensslPtr<T>> all;
  while (T* const one = read(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(one);
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) {
    ERR_clear_error();
  } else {
    all.clear();
  }
  return all;
}

jobs::WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return jobs::WallTime::max();
  return jobs::WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using AlternativeNames = std::unique_ptr<GENERAL_NAMES, FreeNames>;

AlternativeNames alternative_names(const X509& certificate) {
  return AlternativeNames(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
}

template <class F>
void for_each_name(const AlternativeNames& names, const F& f) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    f(*sk_GENERAL_NAME_value(names.get(), i));
  }
}

bool is_host_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '*' ||
           c == '_';
  });
}

// As RFC 2253 writes it: what is not printable ASCII is escaped, and so is what separates.
std::string written(const X509_NAME* name) {
  const OpensslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

// Likewise, so that no name can pretend to be two.
void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ',' || c == '\\') {
      out.append("\\").push_back(c);
    } else if (byte <= ' ' || byte >= 0x7F) {
      out.append("\\").push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 0xF]);
    } else {
      out.push_back(c);
    }
  }
}

std::string address_of(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  const bool is_address = family == AF_INET || ASN1_STRING_length(address) == 16;
  if (is_address) {
    ::inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  }
  return text.data();
}

// "DNS:a.example,URI:spiffe://a/b"
std::string written_alternatives(const X509& certificate) {
  std::string out;
  const auto add = [&out](std::string_view kind, std::string_view text) {
    if (!out.empty()) out.push_back(',');
    out.append(kind);
    append_escaped(out, text);
  };
  for_each_name(alternative_names(certificate), [&add](const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) add("DNS:", text_of(name.d.dNSName));
    if (name.type == GEN_URI) add("URI:", text_of(name.d.uniformResourceIdentifier));
    if (name.type == GEN_EMAIL) add("email:", text_of(name.d.rfc822Name));
    if (name.type == GEN_IPADD) add("IP:", address_of(name.d.iPAddress));
  });
  return out;
}

std::string serial_of(const X509& certificate) {
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr);
  char* const digits = BN_bn2hex(number);
  std::string out = digits;
  OPENSSL_free(digits);
  BN_free(number);
  return out;
}

std::string fingerprint_of(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(&certificate, EVP_sha256(), digest.data(), &size);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    out.push_back(digits[digest[i] >> 4]);
    out.push_back(digits[digest[i] & 0xF]);
  }
  return out;
}

}  // namespace

std::vector<OpensslPtr<X509>> read_certificates(std::string_view pem) {
  return read_all<X509>(pem, PEM_read_bio_X509_AUX);
}

std::vector<OpensslPtr<X509_CRL>> read_crls(std::string_view pem) {
  return read_all<X509_CRL>(pem, PEM_read_bio_X509_CRL);
}

OpensslPtr<EVP_PKEY> read_key(std::string_view pem) {
  ERR_clear_error();
  pem_password_cb* const no_passphrase = [](char*, int, int, void*) { return -1; };
  OpensslPtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return key;
}

jobs::WallTime not_after(const X509& certificate) {
  return time_of(X509_get0_notAfter(&certificate));
}

jobs::WallTime next_update(const X509_CRL& list) {
  return time_of(X509_CRL_get0_nextUpdate(&list));
}

std::vector<std::string> names_of(const X509& certificate) {
  std::vector<std::string> names;
  const auto add = [&names](std::string_view text) {
    std::string name = config::lower_case(text);
    if (is_host_name(name)) names.push_back(std::move(name));
  };
  for_each_name(alternative_names(certificate), [&add](const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) add(text_of(name.d.dNSName));
  });
  if (!names.empty()) return names;
  const X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) add(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  return names;
}

void ServerNames::add(std::string name, std::size_t certificate) {
  const auto place = std::lower_bound(
      names_.begin(), names_.end(), name,
      [](const auto& known, const std::string& added) { return known.first < added; });
  if (place != names_.end() && place->first == name) return;
  names_.insert(place, {std::move(name), certificate});
}

std::size_t ServerNames::find(std::string_view asked) const {
  const std::string name = config::lower_case(asked);
  const std::size_t dot = name.find('.');
  const std::string wildcard = dot == name.npos ? "" : "*" + name.substr(dot);
  for (const std::string& known : {name, wildcard}) {
    const auto place = std::lower_bound(
        names_.begin(), names_.end(), known,
        [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
    if (place != names_.end() && place->first == known) return place->second;
  }
  return 0;
}

std::string client_certificate_lines(const X509& certificate) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    (void)routes::append_field(out, std::string(client_certificate_prefix).append(name), value);
  };
  add("subject", written(X509_get_subject_name(&certificate)));
  add("issuer", written(X509_get_issuer_name(&certificate)));
  add("serial", serial_of(certificate));
  add("fingerprint", fingerprint_of(certificate));
  add("san", written_alternatives(certificate));
  return out;
}

std::string certificate_problem(long verified) {
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate is not valid yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "its certificate is not for this name";
    case X509_V_ERR_CERT_REVOKED:
      return "its certificate was revoked";
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return "the CRL of its CA has run out";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return "there is no CRL of its CA";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return std::string("its certificate is of no known CA: ") +
             X509_verify_cert_error_string(verified);
    default:
      return std::string("its certificate is not valid: ") +
             X509_verify_cert_error_string(verified);
  }
}

bool refuses_certificate(unsigned long error) {
  constexpr std::array<int, 8> reasons = {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
                                          SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
                                          SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
                                          SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
                                          SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
                                          SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
                                          SSL_R_TLSV1_ALERT_UNKNOWN_CA,
                                          SSL_R_TLSV1_ALERT_ACCESS_DENIED};
  return ERR_GET_LIB(error) == ERR_LIB_SSL &&
         std::find(reasons.begin(), reasons.end(), ERR_GET_REASON(error)) != reasons.end();
}

std::string handshake_problem(const std::string& reason) {
  if (reason == "wrong version number" || reason == "http request") return "it does not speak TLS";
  if (reason == "unexpected eof while reading") return "the connection ended within TLS";
  if (reason == "peer did not return a certificate") return "it has shown no certificate";
  return reason.empty() ? "TLS failed" : "TLS failed: " + reason;
}

}  // namespace raincheck::proxy
