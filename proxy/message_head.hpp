// What the parsers have understood of a request's or response's head. Everything is a view into the
// caller's buffer and is valid until that is reused or moved; nothing here owns bytes of a message.
// Used by one shard at a time; never does I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "routes/fields.hpp"

namespace raincheck::proxy {

using routes::Field;
using routes::Fields;
using routes::is_same_name;
using routes::take_element;

// How the end of a body is found (RFC 9112 section 6.3).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

struct RequestHead {
  std::string_view method;
  std::string_view target;  // path and query as received, or "*"; absolute-form is reduced to this
  std::string_view
      authority;  // host[:port], of an absolute-form target, else of Host; HTTP/1.0 may have none
  int minor_version = 1;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  // with Framing::length
  bool keep_alive = false;           // the client would send another request
  bool expect_continue = false;      // the client waits for a 100 before it sends its body
  std::string_view upgrade;  // the protocol that is lawfully asked for, never h2c; empty: none
};

struct ResponseHead {
  int minor_version = 1;
  int status = 0;
  std::string_view reason;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;                        // with Framing::length
  bool keep_alive = false;                                 // the backend would take another request
  std::optional<std::chrono::seconds> keep_alive_timeout;  // Keep-Alive: timeout=N
  std::string_view upgrade;                                // of a 101
};

}  // namespace raincheck::proxy
