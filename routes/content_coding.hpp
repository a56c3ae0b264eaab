// Content codings (RFC 9110 section 8.4.1): bytes in, bytes out, a piece at a time, so that a body
// can be decoded, rewritten and encoded again without ever being whole in memory. Not thread-safe:
// one object for each body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace raincheck::routes {

enum class ContentCoding : std::uint8_t { identity, gzip, deflate, br };

const char* name(ContentCoding coding);

// The coding of a Content-Encoding field; identity if there is none. Nothing if it is not known, or
// several were applied, of which a small body can be made that grows without end.
std::optional<ContentCoding> parse_content_encoding(std::string_view value);

// How much a coded body may become. A small one may become anything up to `free_bytes`; beyond
// that, a body that grows more than `ratio` times is taken for a bomb. gzip can grow 1,032 times.
struct ExpansionLimit {
  std::uint64_t free_bytes = std::uint64_t{1} << 20;
  std::uint64_t ratio = 250;
};

class ContentDecoder {
 public:
  static constexpr std::size_t piece_bytes = 65'536;

  virtual ~ContentDecoder() = default;
  // Null for identity.
  static std::unique_ptr<ContentDecoder> make(ContentCoding coding, ExpansionLimit limit = {});

  struct Step {
    std::size_t consumed = 0;
    bool has_more = false;      // call again, if with nothing: there is more to come out
    const char* bad = nullptr;  // why the body cannot be decoded; nothing after that counts
  };
  // Appends at most `piece_bytes` to `out`.
  virtual Step next(std::string_view in, std::string& out) = 0;
  // Whether the body may end here. What is cut short is not a body.
  virtual bool is_complete() const = 0;
};

// The beginning of a body in memory, up to about `size_max` bytes of what it stands for.
struct Decoded {
  std::string bytes;
  bool is_whole = false;      // that is all of it
  const char* bad = nullptr;  // why it cannot be decoded further
};
Decoded decode(ContentCoding coding, std::string_view body, std::size_t size_max);

class ContentEncoder {
 public:
  virtual ~ContentEncoder() = default;
  // Null for identity.
  static std::unique_ptr<ContentEncoder> make(ContentCoding coding);

  virtual void write(std::string_view in, std::string& out) = 0;
  // Lets the reader see all that was written, at some cost; for bodies that come slowly.
  virtual void flush(std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

}  // namespace raincheck::routes
