// The gate: reads the head of a request strictly (RFC 9112), refusing whatever another server might
// read differently. Owned by a Transaction, fed from its connection's buffer; on one shard. Never
// waits, never looks at a body, and allocates nothing once it is warm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/head_lines.hpp"
#include "proxy/message_head.hpp"

namespace raincheck::proxy {

struct RequestLimits {
  std::uint64_t request_line = 8192;  // with its line end
  std::uint64_t headers = 32768;      // all that follows up to the body
  std::uint32_t header_count = 100;
};

// Why a request was refused. The connection takes no other request after that.
struct Rejection {
  int status = 400;                    // 400 405 414 417 431 501 505
  const char* reason = "bad_request";  // a word for logs
  std::string detail;                  // a sentence for the client; never bytes of the request
};

enum class Parse : std::uint8_t { more, done, rejected };

class RequestParser {
 public:
  RequestParser() = default;
  RequestParser(const RequestParser&) = delete;  // views in head() may point into the parser
  RequestParser& operator=(const RequestParser&) = delete;

  // `buffered` is everything received of this message so far; call again with more bytes appended
  // (the buffer may have moved). Never asks for more when the limits, and two bytes for an empty
  // line in front, are reached. done: head() is valid. rejected: head() has what was understood
  // until then. What is refused depends on the bytes alone, not on the pieces in which they came.
  Parse parse(std::string_view buffered, const RequestLimits& limits);
  const RequestHead& head() const { return head_; }
  std::size_t head_size() const { return lines_.consumed(); }
  const Rejection& rejection() const { return rejection_; }
  // Before the next request.
  void reset();

 private:
  Parse reject(int status, const char* reason, const char* detail);
  Parse bad(const char* detail) { return reject(400, "bad_request", detail); }
  Parse parse_line(std::string_view line);
  Parse parse_target();
  Parse parse_absolute_form();
  Parse parse_fields(std::string_view block);
  Parse interpret(const HeadFacts& facts);
  Parse frame(const HeadFacts& facts);

  RequestHead head_;
  Rejection rejection_;
  HeadLines lines_;
  std::size_t line_begin_ = 0;  // the request line, without its line end
  std::size_t line_size_ = 0;
  std::string rebuilt_target_;  // of an absolute form that has a query and no path
};

}  // namespace raincheck::proxy
