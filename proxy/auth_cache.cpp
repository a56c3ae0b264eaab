#include "proxy/auth_cache.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <stdexcept>

#include "proxy/entropy.hpp"

namespace raincheck::proxy {

AuthCache::AuthCache() {
  Entropy().fill(secret_);
}

AuthCache::Key AuthCache::key_of(std::string_view route, std::string_view question) const {
  // No name of a route holds a NUL, so that the two cannot run into each other.
  std::string text(route);
  text.push_back('\0');
  text.append(question);
  Key key{};
  unsigned int size = 0;
  const auto* const made =
      HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data(), &size);
  if (made == nullptr || size != key.size()) throw std::runtime_error("HMAC-SHA256 failed");
  return key;
}

// As good as any part of it.
std::size_t AuthCache::Hash::operator()(const Key& key) const {
  std::size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

void AuthCache::erase(std::list<Entry>::iterator entry) {
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

const std::string* AuthCache::find(const Key& key, jobs::TimePoint now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  if (found->second->until > now) return &found->second->copied;
  erase(found->second);
  return nullptr;
}

void AuthCache::put(const Key& key,
                    std::string_view copied,
                    jobs::TimePoint now,
                    jobs::TimePoint until) {
  if (copied.size() > copied_max) return;
  if (const auto same = by_key_.find(key); same != by_key_.end()) erase(same->second);
  while (!entries_.empty() && (entries_.size() == entries_max || entries_.front().until <= now)) {
    erase(entries_.begin());
  }
  by_key_.emplace(key, entries_.insert(entries_.end(), Entry{key, std::string(copied), until}));
}

}  // namespace raincheck::proxy
