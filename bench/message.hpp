// Reads HTTP/1.1 messages one after the other from the bytes of one connection. Strict about what
// it needs (start line, framing, a few headers) and blind to the rest. Holds one whole message,
// with its body decoded in place; refuses one larger than message_bytes_max. Owned by a connection,
// on its thread; never touches a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace raincheck::bench {

inline constexpr std::size_t message_bytes_max = 64 * 1024 * 1024;

// The views point into the reader, until consume() or the next space().
struct Message {
  unsigned status = 0;      // of a response
  std::string_view method;  // of a request
  std::string_view target;  // of a request
  std::string_view location;
  std::string_view request_digest;
  std::optional<std::uint32_t> retry_after;
  bool keep_alive = true;
  std::string_view body;
};

class MessageReader {
 public:
  enum class Expect { request, response };
  enum class Progress { incomplete, complete, malformed };

  explicit MessageReader(Expect expect);

  // Where the next bytes of the connection go. Empty when the message is too large.
  std::span<char> space();
  void received(std::size_t count) { end_ += count; }

  // Looks for a whole message at the front. Interim (1xx) responses are passed over.
  Progress next();
  const Message& message() const { return message_; }
  // Drops the message that next() found.
  void consume();

  bool is_empty() const { return begin_ == end_; }
  void clear();

 private:
  bool parse_head(std::string_view head);
  bool parse_request_line(std::string_view line);
  bool parse_status_line(std::string_view line);
  bool parse_header(std::string_view line);
  Progress find_head();
  Progress decode_chunks();

  const Expect expect_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_;
  std::size_t begin_ = 0;        // the message at the front starts here
  std::size_t end_ = 0;          // received up to here
  std::size_t body_begin_ = 0;   // 0 until the head is whole
  std::size_t body_end_ = 0;     // decoded up to here
  std::size_t chunk_next_ = 0;   // not yet decoded from here
  std::size_t message_end_ = 0;  // what consume() drops
  std::size_t content_length_ = 0;
  bool has_length_ = false;
  bool is_chunked_ = false;
  Message message_;
};

}  // namespace raincheck::bench
