// What the heads of requests and responses have in common: where their lines end, what a field line
// may be, and the facts that decide about framing and the connection. Part of the two parsers;
// pure, and free of allocations once warm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/message_head.hpp"

namespace raincheck::proxy {

// Finds the end of a head in a buffer that grows (and may move) between calls, looking at each byte
// once. Checks what can be known without understanding the lines: that they end with CRLF, and the
// limits.
class HeadLines {
 public:
  enum class Found : std::uint8_t {
    more,        // the head goes on beyond what is buffered
    first_line,  // once, as soon as the first line is whole
    end,         // the head is whole
    bad_line_end,
    first_line_too_long,
    too_large,
    too_many,
  };
  struct Limits {
    std::uint64_t first_line = 0;  // with its line end
    std::uint64_t fields = 0;      // with the empty line that ends them
    std::uint32_t count = 0;
  };

  // `begin`: where the first line starts in `buffered`.
  Found find(std::string_view buffered, std::size_t begin, const Limits& limits);
  // Where the line after the last one that was found begins; after the end, the size of the head.
  std::size_t consumed() const { return line_; }
  // Where the field lines begin.
  std::size_t fields_begin() const { return fields_; }
  void reset() { *this = HeadLines(); }

 private:
  std::size_t line_ = 0;     // beginning of the line that is not whole yet
  std::size_t scanned_ = 0;  // no line feed before this
  std::size_t fields_ = 0;   // 0: the first line is not whole yet
  std::uint32_t count_ = 0;
};

// What the fields of a message say about its framing and connection, collected while they are
// parsed.
struct HeadFacts {
  std::uint32_t hosts = 0;
  std::uint32_t content_lengths = 0;
  std::uint32_t content_types = 0;
  std::uint32_t transfer_encodings = 0;
  std::uint32_t expects = 0;
  std::uint32_t upgrades = 0;
  std::uint32_t connection_options = 0;
  std::string_view host;
  std::string_view content_length;
  std::string_view transfer_encoding;
  std::string_view expect;
  std::string_view upgrade;
  bool close = false;  // the options of Connection
  bool keep_alive = false;
  bool upgrade_named = false;
  bool has_bad_option = false;
};

// More options in Connection than this are refused: each of them is compared with each field.
inline constexpr std::uint32_t connection_options_max = 32;

// A space before the colon: refused from a client, removed from an answer (RFC 9112 section 5.1).
enum class SpaceBeforeColon : std::uint8_t { refused, removed };

// Parses whole field lines, each with its CRLF. Returns nullptr, or in a sentence what is wrong
// with them.
const char* parse_field_lines(std::string_view block,
                              SpaceBeforeColon space,
                              Fields& fields,
                              HeadFacts& facts);

// Digits only, within 64 bits.
bool parse_content_length(std::string_view text, std::uint64_t& length);

}  // namespace raincheck::proxy
