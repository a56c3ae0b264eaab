// What the tests of the configuration share: loading a text in a world without files or variables.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "config/load.hpp"

namespace raincheck::config::tests {

inline std::string read_source(const std::string& path) {
  std::ifstream stream(RAINCHECK_SOURCE_DIR "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline Loaded load_alone(std::string_view text) {
  return load_text("x.yaml", text, Environment::empty());
}

// All complaints without excerpts, one below the other.
inline std::string complaints(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += format(diagnostic) + "\n";
  return text;
}

}  // namespace raincheck::config::tests
