// Idempotency keys: read from their field, and hashed together with what they are a key of, so that
// a store compares two digests and never sees a client's words. Pure but for OpenSSL's SHA-256, any
// thread. Whether a key is known is the store's to say.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::jobs {

constexpr std::size_t idempotency_key_max = 255;

// A key, or a sentence for the client that says why the value is none.
struct IdempotencyKey {
  std::string text;
  std::string_view error;  // empty: `text` is the key

  explicit operator bool() const { return error.empty(); }
};

// Accepts the Structured-Field String of the IETF draft and the bare word that most clients send:
// "abc" and abc are the same key.
IdempotencyKey parse_idempotency_key(std::string_view value);

// The SHA-256 of a body that comes in pieces.
class BodyDigest {
 public:
  using Value = std::array<std::uint8_t, 32>;

  BodyDigest();  // throws std::runtime_error when OpenSSL has no SHA-256
  ~BodyDigest();
  BodyDigest(BodyDigest&&) noexcept;
  BodyDigest& operator=(BodyDigest&&) noexcept;

  void update(std::string_view bytes);
  Value finish();  // once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

BodyDigest::Value digest_body(std::string_view bytes);

// `key` is the key within its route and owner, `fingerprint` what was submitted with it.
Key make_key(std::string_view route,
             std::string_view owner,
             std::string_view key_text,
             std::string_view method,
             std::string_view target,
             const BodyDigest::Value& body);

}  // namespace raincheck::jobs
