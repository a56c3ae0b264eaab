#include "proxy/tls_tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>

namespace raincheck::proxy {
namespace {

void fill(std::span<unsigned char> bytes) {
  // Without random numbers there is no TLS at all.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::terminate();
}

bool set_mac_key(EVP_MAC_CTX* mac, TicketKeys::Key& key) {
  char digest[] = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
}

}  // namespace

TicketKeys::Key TicketKeys::current(Time now) {
  const std::lock_guard lock(mutex_);
  if (!keys_.empty() && now < keys_.front().made + period) return keys_.front();
  Key key;
  fill(key.name);
  fill(key.cipher);
  fill(key.mac);
  key.made = now;
  keys_.insert(keys_.begin(), key);
  keys_.resize(std::min<std::size_t>(keys_.size(), 2));
  return key;
}

std::optional<TicketKeys::Key> TicketKeys::find(const unsigned char* name, Time now) const {
  const std::lock_guard lock(mutex_);
  for (const Key& key : keys_) {
    const bool is_meant = std::memcmp(key.name.data(), name, key.name.size()) == 0;
    if (is_meant && now < key.made + 2 * period) return key;
  }
  return std::nullopt;
}

void TicketKeys::use_in(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
  SSL_CTX_set_timeout(context, std::chrono::seconds(period).count());
}

// See SSL_CTX_set_tlsext_ticket_key_evp_cb(3). A ticket that is taken is replaced in TLS 1.2 when
// its key is not the current one any more; in TLS 1.3 always.
int TicketKeys::on_ticket(SSL* ssl,
                          unsigned char* name,
                          unsigned char* iv,
                          EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac,
                          int encrypts) {
  auto& keys = *static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const Time now = jobs::system_clock().now();
  Key key = keys.current(now);
  if (encrypts != 0) {
    std::copy(key.name.begin(), key.name.end(), name);
    const bool is_good =
        RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) == 1;
    return is_good && set_mac_key(mac, key) ? 1 : -1;
  }
  std::optional<Key> found = keys.find(name, now);
  if (!found) return 0;
  const bool is_good =
      set_mac_key(mac, *found) &&
      EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, found->cipher.data(), iv) == 1;
  if (!is_good) return -1;
  return found->name == key.name ? 1 : 2;
}

}  // namespace raincheck::proxy
