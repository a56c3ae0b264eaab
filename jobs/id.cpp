#include "jobs/id.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace raincheck::jobs {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t no_value = 64;
constexpr std::array<std::uint8_t, 256> values = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_value);
  for (std::uint8_t i = 0; i < no_value; ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = i;
  }
  return table;
}();

using PlaceBytes = std::array<std::uint8_t, 9>;

// 1 zero bit, 8 of the partition, 24 of the lane, 39 of the sequence, big-endian.
PlaceBytes pack(const Place& place) {
  PlaceBytes bytes{};
  const std::uint64_t low = std::uint64_t{place.lane} << 39 | place.sequence;
  bytes[0] = static_cast<std::uint8_t>(place.partition >> 1);
  const std::uint64_t rest = std::uint64_t(place.partition & 1) << 63 | low;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i + 1] = static_cast<std::uint8_t>(rest >> (56 - 8 * i));
  }
  return bytes;
}

std::optional<Place> unpack(const PlaceBytes& bytes) {
  if (bytes[0] & 0x80) return std::nullopt;
  std::uint64_t rest = 0;
  for (std::size_t i = 1; i < bytes.size(); ++i) rest = rest << 8 | bytes[i];
  Place place;
  place.partition = static_cast<std::uint8_t>(std::uint64_t{bytes[0]} << 1 | rest >> 63);
  place.lane = static_cast<std::uint32_t>(rest >> 39 & Place::lane_max);
  place.sequence = rest & Place::sequence_max;
  if (place.sequence == 0) return std::nullopt;
  return place;
}

}  // namespace

struct IdCodec::Cipher {
  Cipher() : context(EVP_CIPHER_CTX_new()) {
    if (!context) throw std::runtime_error("OpenSSL gave no cipher context");
  }
  ~Cipher() { EVP_CIPHER_CTX_free(context); }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;

  EVP_CIPHER_CTX* context;
};

IdCodec::IdCodec(const Secret& secret) : cipher_(std::make_unique<Cipher>()) {
  if (EVP_EncryptInit_ex(cipher_->context, EVP_aes_128_ecb(), nullptr, secret.data(), nullptr) !=
      1) {
    throw std::runtime_error("OpenSSL has no AES-128");
  }
  EVP_CIPHER_CTX_set_padding(cipher_->context, 0);
}

IdCodec::~IdCodec() = default;
IdCodec::IdCodec(IdCodec&&) noexcept = default;
IdCodec& IdCodec::operator=(IdCodec&&) noexcept = default;

std::array<std::uint8_t, 9> IdCodec::mask(const Random& random) {
  std::array<std::uint8_t, 16> in{};
  std::copy(random.begin(), random.end(), in.begin());
  std::array<std::uint8_t, 32> out{};
  int size = 0;
  EVP_EncryptUpdate(cipher_->context, out.data(), &size, in.data(), static_cast<int>(in.size()));
  std::array<std::uint8_t, 9> mask{};
  std::copy_n(out.begin(), mask.size(), mask.begin());
  return mask;
}

IdText IdCodec::encode(const JobId& id) {
  std::array<std::uint8_t, 24> raw{};
  std::copy(id.random.begin(), id.random.end(), raw.begin());
  const PlaceBytes place = pack(id.place);
  const PlaceBytes key = mask(id.random);
  for (std::size_t i = 0; i < place.size(); ++i) {
    raw[15 + i] = static_cast<std::uint8_t>(place[i] ^ key[i]);
  }
  IdText text{};
  for (std::size_t i = 0, o = 0; i < raw.size(); i += 3) {
    const std::uint32_t bits =
        std::uint32_t{raw[i]} << 16 | std::uint32_t{raw[i + 1]} << 8 | std::uint32_t{raw[i + 2]};
    for (unsigned shift = 18; o % 4 != 3; shift -= 6) text[o++] = alphabet[bits >> shift & 63];
    text[o++] = alphabet[bits & 63];
  }
  return text;
}

std::string IdCodec::text(const JobId& id) {
  const IdText text = encode(id);
  return std::string(view(text));
}

std::optional<JobId> IdCodec::decode(std::string_view text) {
  if (text.size() != id_chars) return std::nullopt;
  std::array<std::uint8_t, 24> raw{};
  for (std::size_t i = 0, o = 0; i < text.size(); i += 4) {
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t value = values[static_cast<unsigned char>(text[i + j])];
      if (value == no_value) return std::nullopt;
      bits = bits << 6 | value;
    }
    raw[o++] = static_cast<std::uint8_t>(bits >> 16);
    raw[o++] = static_cast<std::uint8_t>(bits >> 8);
    raw[o++] = static_cast<std::uint8_t>(bits);
  }
  JobId id;
  std::copy_n(raw.begin(), id.random.size(), id.random.begin());
  const PlaceBytes key = mask(id.random);
  PlaceBytes place{};
  for (std::size_t i = 0; i < place.size(); ++i) {
    place[i] = static_cast<std::uint8_t>(raw[15 + i] ^ key[i]);
  }
  const std::optional<Place> unpacked = unpack(place);
  if (!unpacked) return std::nullopt;
  id.place = *unpacked;
  return id;
}

bool same(const Random& a, const Random& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace raincheck::jobs
