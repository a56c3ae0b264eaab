// Reads the head of a backend's answer, strictly: what is not certainly HTTP/1.x with one framing
// is refused and becomes an upstream_protocol_error. Owned by an UpstreamConnection, on one shard.
// Never waits, never looks at a body, and allocates nothing once it is warm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/head_lines.hpp"
#include "proxy/message_head.hpp"
#include "proxy/request_parser.hpp"

namespace raincheck::proxy {

class ResponseParser {
 public:
  static constexpr std::uint32_t header_count_max = 1000;

  // As RequestParser::parse; `headers_max` bounds the whole head. An interim answer (1xx) is done
  // like any other: the caller consumes it, resets, and reads on. A 101 is rejected unless it was
  // asked for. Bytes that cannot be HTTP are rejected as soon as that is certain.
  Parse parse(std::string_view buffered,
              std::uint64_t headers_max,
              bool head_request,
              bool upgrade_requested);
  const ResponseHead& head() const { return head_; }
  std::size_t head_size() const { return lines_.consumed(); }
  // What was wrong, in a sentence for the log; never bytes of the answer.
  const char* error() const { return error_; }
  // Before the next answer.
  void reset();

 private:
  Parse reject(const char* error);
  Parse parse_line(std::string_view line);
  Parse parse_fields(std::string_view block);
  Parse frame(const HeadFacts& facts, bool head_request);
  Parse check_upgrade(const HeadFacts& facts, bool upgrade_requested);

  ResponseHead head_;
  HeadLines lines_;
  const char* error_ = "";
  std::size_t line_size_ = 0;
};

}  // namespace raincheck::proxy
