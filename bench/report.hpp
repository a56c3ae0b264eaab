// What a run of the load generator says at its end. Used by main.
#pragma once

#include <iosfwd>
#include <optional>

#include "bench/generator.hpp"

namespace raincheck::bench {

// What the synthetic backend has seen of a run.
struct Executions {
  std::uint64_t seen = 0;
  std::uint64_t duplicates = 0;
};
std::optional<Executions> ask_backend(const Address& backend, std::uint64_t run);

void write_json(std::ostream& out,
                const Results& results,
                const std::optional<Executions>& executions);
void write_text(std::ostream& out,
                const Results& results,
                const std::optional<Executions>& executions);

}  // namespace raincheck::bench
