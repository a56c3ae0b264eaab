// The characters of routes/characters.hpp, which the parsers name without their namespace.
#pragma once

#include "routes/characters.hpp"

namespace raincheck::proxy {

namespace characters = routes::characters;
using routes::field_value_prefix;
using routes::hex_digit;
using routes::is_blank;
using routes::is_character;
using routes::is_digit;

}  // namespace raincheck::proxy
