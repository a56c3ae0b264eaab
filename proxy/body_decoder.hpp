// Takes the framing off a body, of a request or a response, as it arrives: pieces of what was
// received, in order. Strict about chunks (RFC 9112 section 7.1); trailer fields are checked for
// their form and dropped. Owned by whoever reads the body; never copies, waits or allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/message_head.hpp"

namespace raincheck::proxy {

class BodyDecoder {
 public:
  // Chunk extensions mean nothing to us. A client has no reason to send any, a backend may.
  enum class Extensions : std::uint8_t { refused, skipped };

  static constexpr std::size_t extension_bytes_max = 8192;  // of one chunk
  static constexpr std::size_t trailer_bytes_max = 8192;

  void start(Framing framing, std::uint64_t length, Extensions extensions = Extensions::refused);

  struct Step {
    std::size_t consumed = 0;  // of `raw`: framing and payload
    std::string_view payload;  // a piece of `raw`; may be empty though something was consumed
    bool done = false;         // the body ends here; what follows in `raw` is the next message
    bool bad = false;          // malformed chunks: nothing that follows can be trusted
  };
  Step next(std::string_view raw);

  // The body is complete. True from the start for one without a byte: check it before waiting for
  // input.
  bool done() const { return state_ == State::done; }
  // The connection ended: true if that completes the body, or it was complete; false: it was cut
  // short.
  bool end_of_input();
  // Bytes still to come, where they were announced.
  std::optional<std::uint64_t> remaining() const;

 private:
  enum class State : std::uint8_t {
    counted,
    until_close,
    size,
    size_space,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    done,
    bad,
  };

  State framing_byte(char c);
  State size_byte(char c);
  State trailer_byte(char c);

  State state_ = State::done;
  Framing framing_ = Framing::none;
  Extensions extensions_ = Extensions::refused;
  std::uint8_t digits_ = 0;
  std::uint32_t spent_ = 0;  // bytes of this chunk's extension, or of the trailer
  std::uint64_t left_ = 0;   // of the body, or of the chunk
};

}  // namespace raincheck::proxy
