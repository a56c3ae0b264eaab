// The JSON Schema (draft-07) of the configuration file, for editors: written from the descriptions
// in describe.hpp, with every default, limit and sentence. raincheck.schema.json is its output.
#pragma once

#include <string>

namespace raincheck::config {

std::string schema_json();  // indented, with a line feed at its end

}  // namespace raincheck::config
