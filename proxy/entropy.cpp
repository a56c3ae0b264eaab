#include "proxy/entropy.hpp"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace raincheck::proxy {
namespace {

constexpr std::size_t getentropy_max = 256;

}  // namespace

void Entropy::fill(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (used_ == pool_.size()) {
      for (std::size_t at = 0; at < pool_.size(); at += getentropy_max) {
        if (::getentropy(pool_.data() + at, getentropy_max) != 0) {
          throw std::runtime_error("the system gives no random bytes");
        }
      }
      used_ = 0;
    }
    const auto given =
        std::span(pool_).subspan(used_).first(std::min(bytes.size(), pool_.size() - used_));
    std::copy(given.begin(), given.end(), bytes.begin());
    std::fill(given.begin(), given.end(), std::uint8_t{0});
    used_ += given.size();
    bytes = bytes.subspan(given.size());
  }
}

jobs::Random Entropy::random() {
  jobs::Random bytes{};
  fill(bytes);
  return bytes;
}

std::string Entropy::uuid(jobs::WallTime now) {
  std::array<std::uint8_t, 16> bytes{};
  fill(bytes);
  const auto time = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(time >> (40 - 8 * i));
  bytes[6] = static_cast<std::uint8_t>(0x70 | (bytes[6] & 0x0f));
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));
  constexpr char digits[] = "0123456789abcdef";
  std::string text(36, '-');
  for (std::size_t i = 0, o = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++o;
    text[o++] = digits[bytes[i] >> 4];
    text[o++] = digits[bytes[i] & 15];
  }
  return text;
}

}  // namespace raincheck::proxy
