// Fuzzes the normal form of targets: it is stable, and holds nothing that servers read differently.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "routes/path.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using raincheck::routes::normalize;
  const std::string target(data, data + size);
  std::string buffer;
  std::string_view why;
  const auto once = normalize(target, buffer, why);
  if (!once) {
    if (why.empty()) std::abort();
    return 0;
  }
  std::string again;
  const auto twice = normalize(once->text, again, why);
  if (!twice || twice->text != once->text || twice->path != once->path) std::abort();
  const std::string closed = std::string(once->path) + "/";
  for (const std::string_view bad : {"/./", "/../", "\\", "#"}) {
    if (closed.find(bad) != closed.npos) std::abort();
  }
  if (once->path.find("//") != std::string_view::npos) std::abort();
  return 0;
}
