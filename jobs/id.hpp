// A job's id as clients see it: 32 characters of base64url that hold 15 random bytes and, masked,
// the place of the job's row. Values and pure functions; the random bytes come from the caller.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace raincheck::jobs {

// Where a job's row is. Never given out twice, so a place that was given out and has no row any
// more is `gone`.
struct Place {
  std::uint8_t partition = 0;
  std::uint32_t lane = 0;      // 24 bits
  std::uint64_t sequence = 0;  // 39 bits, from 1

  bool operator==(const Place&) const = default;

  // The integer primary key of the row in its partition: lane, then sequence, so that a lane is a
  // range.
  std::int64_t key() const {
    return static_cast<std::int64_t>(std::uint64_t{lane} << 39 | sequence);
  }
  static Place from_key(std::uint8_t partition, std::int64_t key) {
    const auto bits = static_cast<std::uint64_t>(key);
    return Place{partition, static_cast<std::uint32_t>(bits >> 39), bits & sequence_max};
  }

  static constexpr std::uint32_t lane_max = (1U << 24) - 1;
  static constexpr std::uint64_t sequence_max = (std::uint64_t{1} << 39) - 1;
};

using Random = std::array<std::uint8_t, 15>;

struct JobId {
  Place place;
  Random random{};

  bool operator==(const JobId&) const = default;
};

constexpr std::size_t id_chars = 32;
using IdText = std::array<char, id_chars>;

inline std::string_view view(const IdText& text) {
  return {text.data(), text.size()};
}

// Turns ids into text and back under the store's secret (16 bytes, AES-128). Holds a cipher
// context: one per thread.
class IdCodec {
 public:
  using Secret = std::array<std::uint8_t, 16>;

  // Throws std::runtime_error when OpenSSL has no AES.
  explicit IdCodec(const Secret& secret);
  ~IdCodec();
  IdCodec(IdCodec&&) noexcept;
  IdCodec& operator=(IdCodec&&) noexcept;

  IdText encode(const JobId& id);
  std::string text(const JobId& id);
  // Nothing when the text is not 32 base64url characters or unmasks to no possible place.
  std::optional<JobId> decode(std::string_view text);

 private:
  std::array<std::uint8_t, 9> mask(const Random& random);

  struct Cipher;
  std::unique_ptr<Cipher> cipher_;
};

// Equal in constant time, so that response times tell nothing about a stored id.
bool same(const Random& a, const Random& b);

}  // namespace raincheck::jobs
