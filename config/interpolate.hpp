// ${NAME}, ${NAME:-default}, ${file:/path} and ${credential:name} in a scalar, replaced when the
// configuration is read. Works on values after the YAML parse, so that what is put in can never
// change the structure. $${ stands for a literal ${. In a template, names of a request stay, and so
// do files and credentials, which are read when they are needed and never kept.
#pragma once

#include <optional>
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

struct InterpolatedTemplate {
  TemplateText text;  // without its place
  std::string problem;
  std::string hint;
};

// Files and credentials are read once, to see that they can be; the content is forgotten.
InterpolatedTemplate interpolate_template(std::string_view text, const Environment& environment);

// The content of "file:/path" or "credential:name" as it is now, without the newline at its end.
std::optional<std::string> read_secret(std::string_view reference, const Environment& environment);

}  // namespace raincheck::config
