#include "jobs/idempotency.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

// Fetched once: a lookup by name each time costs more than hashing a small body. Lives as long as
// the process.
const EVP_MD* sha256() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return digest;
}

// Parts are framed by their lengths, so that no two lists of parts are the same bytes.
void update_framed(BodyDigest& digest, std::string_view part) {
  std::array<char, 8> size{};
  for (std::size_t i = 0; i < size.size(); ++i) {
    size[i] = static_cast<char>(std::uint64_t{part.size()} >> (56 - 8 * i) & 0xff);
  }
  digest.update({size.data(), size.size()});
  digest.update(part);
}

Digest digest_of(std::initializer_list<std::string_view> parts) {
  BodyDigest hash;
  for (const std::string_view part : parts) update_framed(hash, part);
  const BodyDigest::Value whole = hash.finish();
  Digest digest{};
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

IdempotencyKey wrong(std::string_view why) {
  return IdempotencyKey{{}, why};
}

bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

// sf-string, RFC 8941 3.3.3; `value` begins with its quote.
IdempotencyKey parse_quoted(std::string_view value) {
  IdempotencyKey key;
  for (std::size_t i = 1; i < value.size(); ++i) {
    char c = value[i];
    if (c == '"') {
      if (i + 1 != value.size()) return wrong("The key must be a single string.");
      return key;
    }
    if (c == '\\') {
      if (++i == value.size()) break;
      c = value[i];
      if (c != '"' && c != '\\')
        return wrong("Only \\\" and \\\\ are escapes within a quoted key.");
    }
    if (!is_visible(c) && c != ' ') return wrong("The key must be printable ASCII.");
    key.text += c;
  }
  return wrong("The key has no closing quote.");
}

IdempotencyKey parse_bare(std::string_view value) {
  for (const char c : value) {
    if (!is_visible(c)) return wrong("A key without quotes must be visible ASCII characters.");
    if (c == '"' || c == ',') return wrong("A key with quotes or commas must be a quoted string.");
  }
  return IdempotencyKey{std::string(value), {}};
}

}  // namespace

IdempotencyKey parse_idempotency_key(std::string_view value) {
  value = trim(value);
  // Twice the length is enough for any quoted key with escapes: longer ones need no look.
  if (value.size() > 2 * idempotency_key_max + 2) return wrong("The key is too long.");
  IdempotencyKey key = value.starts_with('"') ? parse_quoted(value) : parse_bare(value);
  if (!key) return key;
  if (key.text.empty()) return wrong("The key is empty.");
  if (key.text.size() > idempotency_key_max) return wrong("The key is too long.");
  return key;
}

struct BodyDigest::Context {
  Context() : context(EVP_MD_CTX_new()) {
    if (!context || !sha256() || EVP_DigestInit_ex2(context, sha256(), nullptr) != 1) {
      EVP_MD_CTX_free(context);
      throw std::runtime_error("OpenSSL has no SHA-256");
    }
  }
  ~Context() { EVP_MD_CTX_free(context); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  EVP_MD_CTX* context;
};

BodyDigest::BodyDigest() : context_(std::make_unique<Context>()) {}
BodyDigest::~BodyDigest() = default;
BodyDigest::BodyDigest(BodyDigest&&) noexcept = default;
BodyDigest& BodyDigest::operator=(BodyDigest&&) noexcept = default;

void BodyDigest::update(std::string_view bytes) {
  EVP_DigestUpdate(context_->context, bytes.data(), bytes.size());
}

BodyDigest::Value BodyDigest::finish() {
  Value value{};
  EVP_DigestFinal_ex(context_->context, value.data(), nullptr);
  return value;
}

BodyDigest::Value digest_body(std::string_view bytes) {
  BodyDigest digest;
  digest.update(bytes);
  return digest.finish();
}

Key make_key(std::string_view route,
             std::string_view owner,
             std::string_view key_text,
             std::string_view method,
             std::string_view target,
             const BodyDigest::Value& body) {
  Key key;
  key.key = digest_of({"key", route, owner, key_text});
  const std::string body_text(body.begin(), body.end());
  key.fingerprint = digest_of({"fingerprint", method, target, body_text});
  return key;
}

}  // namespace raincheck::jobs
