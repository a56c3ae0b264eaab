// Certificates and keys made on the spot, in PEM.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

namespace raincheck::test {

struct PemPair {
  std::string certificate;
  std::string key;
};

inline std::string pem_of(const std::function<void(BIO*)>& write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  write(bio.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

// Signed by itself, for `seconds` from now. `alternatives` as "DNS:a.example,URI:x".
inline PemPair make_certificate(const std::string& name,
                                const std::string& alternatives = "",
                                long seconds = 90L * 86400) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const made = X509_new();
  X509_set_version(made, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made), 0xABC);
  X509_gmtime_adj(X509_getm_notBefore(made), std::min(0L, seconds) - 60);
  X509_gmtime_adj(X509_getm_notAfter(made), seconds);
  X509_NAME* const subject = X509_get_subject_name(made);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.data()),
                             static_cast<int>(name.size()), -1, 0);
  X509_set_issuer_name(made, subject);
  X509_set_pubkey(made, key);
  if (!alternatives.empty()) {
    X509_EXTENSION* const extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str());
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(made, key, EVP_sha256());
  PemPair pair;
  pair.certificate = pem_of([made](BIO* out) { PEM_write_bio_X509(out, made); });
  pair.key = pem_of([key](BIO* out) {
    PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(made);
  EVP_PKEY_free(key);
  return pair;
}

}  // namespace raincheck::test
