// Whatever a backend sends, the decision is the same for every way of cutting it up; where Beast's
// parser accepts it too, both understand the same; and the fields for the client are read in one
// way only.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

#include "proxy/fields.hpp"
#include "proxy/response_parser.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::proxy;
using raincheck::fuzz::require;

namespace {

namespace http = boost::beast::http;

constexpr std::uint64_t headers_max = 512;  // small enough for the fuzzer to reach it

struct Asked {
  bool head = false;
  bool upgrade = false;
};

std::string result(const ResponseParser& parser, Parse parse) {
  if (parse == Parse::more) return "more";
  if (parse == Parse::rejected) return parser.error();
  const ResponseHead& head = parser.head();
  std::string out =
      std::to_string(head.minor_version) + " " + std::to_string(head.status) + " " +
      std::string(head.reason) + " " + std::to_string(static_cast<int>(head.framing)) + " " +
      std::to_string(head.content_length) + (head.keep_alive ? " keep " : " close ") +
      std::to_string(head.keep_alive_timeout.value_or(std::chrono::seconds(-1)).count()) + " " +
      std::string(head.upgrade) + " " + std::to_string(parser.head_size());
  for (const Field& field : head.fields) {
    out.append("\n").append(field.name).append(":").append(field.value);
  }
  return out;
}

std::string in_pieces(std::string_view input, std::size_t step, Asked asked) {
  ResponseParser parser;
  for (std::size_t size = std::min(step, input.size());;) {
    const std::vector<char> buffer = raincheck::fuzz::copy_of(input, size);
    const Parse parse = parser.parse({buffer.data(), size}, headers_max, asked.head, asked.upgrade);
    if (parse != Parse::more || size == input.size()) return result(parser, parse);
    size = std::min(size + step, input.size());
  }
}

void compare_with_beast(std::string_view input, const ResponseHead& head, bool head_request) {
  http::response_parser<http::empty_body> beast;
  beast.header_limit(4096);
  beast.body_limit(boost::none);
  boost::system::error_code error;
  beast.put(boost::asio::buffer(input.data(), input.size()), error);
  // We take two forms that it refuses: no space after the status, and one before a colon.
  if (!beast.is_header_done()) return;
  const auto& message = beast.get();
  require(message.result_int() == static_cast<unsigned>(head.status), "the status");
  require(head.reason.empty() || message.reason() == head.reason, "the reason");
  raincheck::fuzz::require_same_fields(head.fields, message);
  if (head_request || head.framing == Framing::none) return;
  require(beast.chunked() == (head.framing == Framing::chunked), "chunked");
  const auto length = beast.content_length();
  require(length.has_value() == (head.framing == Framing::length), "a length");
  require(!length || *length == head.content_length, "the length");
}

void write_and_read(const ResponseHead& head) {
  std::string fields;
  append_response_fields(fields, head);
  const std::string out = "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
  ResponseParser parser;
  require(parser.parse(out, 4096, false, false) == Parse::done, "what is written is accepted");
  require(parser.head_size() == out.size(), "it ends where it was ended");
  require(parser.head().framing == Framing::until_close, "it says nothing about framing");
  std::string copy;
  append_response_fields(copy, parser.head());
  require(copy == fields, "what is read back is written the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input = raincheck::fuzz::rest_of(data, size);
  const Asked asked{(data[0] & 0x80) != 0, (data[0] & 0x40) != 0};
  ResponseParser parser;
  const std::vector<char> buffer = raincheck::fuzz::copy_of(input, input.size());
  const std::string_view whole_input(buffer.data(), buffer.size());
  const Parse parse = parser.parse(whole_input, headers_max, asked.head, asked.upgrade);
  const std::string whole = result(parser, parse);
  require(in_pieces(input, 1, asked) == whole, "byte by byte it is the same");
  require(in_pieces(input, data[0] % 32 + 1, asked) == whole, "in pieces it is the same");
  if (parse == Parse::more) require(input.size() < headers_max, "the limit is kept");
  if (parse != Parse::done) return 0;
  compare_with_beast(whole_input, parser.head(), asked.head);
  write_and_read(parser.head());
  return 0;
}
