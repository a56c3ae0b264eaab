// Random bytes of the operating system, fetched a page at a time. One per shard.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "jobs/id.hpp"
#include "jobs/job.hpp"

namespace raincheck::proxy {

class Entropy {
 public:
  // Throws std::runtime_error when the system gives none: an id that can be guessed is worse than
  // no answer.
  void fill(std::span<std::uint8_t> bytes);
  jobs::Random random();
  // A UUIDv7 (RFC 9562 section 5.7).
  std::string uuid(jobs::WallTime now);

 private:
  std::array<std::uint8_t, 4096> pool_{};
  std::size_t used_ = sizeof pool_;
};

}  // namespace raincheck::proxy
