// Owners of OpenSSL's objects, and what its error queue says in words. Any thread.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace raincheck::proxy {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_STORE_CTX* verifying) const { X509_STORE_CTX_free(verifying); }
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

template <class T>
using OpensslPtr = std::unique_ptr<T, OpensslFree>;

// Of the first error in this thread's queue, which is emptied; "" when there is none.
std::string take_openssl_error();

}  // namespace raincheck::proxy
