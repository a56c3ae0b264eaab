// Spreading bits, for dice that a seed decides and for hashes. Not for secrets. Pure; any thread.
#pragma once

#include <cstdint>

namespace raincheck::jobs {

// SplitMix64's finaliser: every bit of the result depends on every bit of `x`.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

}  // namespace raincheck::jobs
