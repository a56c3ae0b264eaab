// ${NAME}, ${NAME:-default}, ${file:/path} and ${credential:name} in a scalar, replaced when the
// configuration is read. Works on values after the YAML parse, so that what is put in can never
// change the structure. $${ stands for a literal ${.
#pragma once

#include <string>
#include <string_view>

#include "config/load.hpp"

namespace raincheck::config {

struct Interpolated {
  std::string text;
  bool is_changed = false;
  bool is_secret = false;  // holds the content of a file or credential
  std::string problem;     // empty: none; never holds the content of a file or variable
  std::string hint;
};

Interpolated interpolate(std::string_view text, const Environment& environment);

}  // namespace raincheck::config
