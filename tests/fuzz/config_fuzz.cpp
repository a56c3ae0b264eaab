// Fuzzes the reading of configurations: whatever the bytes are, load_text()
// returns, and every message can be written.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/load.hpp"
#include "routes/route_table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace raincheck;
  const std::string text(data, data + size);
  config::Loaded loaded = config::load_text("fuzz.yaml", text, config::Environment::empty());
  const routes::RouteTable table(loaded.config);
  for (const auto& problem : table.problems()) {
    loaded.refuse(problem.place, problem.path, problem.message);
  }
  config::format(loaded);
  return 0;
}
