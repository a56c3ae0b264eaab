// Forwarded (RFC 7239), beside X-Forwarded-*: our own element, after the chain of a peer that is
// believed. Nothing is obfuscated: who reads X-Forwarded-For reads the same here. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "proxy/fields.hpp"

namespace raincheck::proxy {

// Writes the whole field. A chain that is not well-formed is left out: an open quote in it would
// swallow our element.
void append_forwarded(std::string& out, const RequestHead& head, const Identity& identity);

// A list of elements as RFC 7239 section 4 has them, or an empty one.
bool is_forwarded(std::string_view value);

}  // namespace raincheck::proxy
