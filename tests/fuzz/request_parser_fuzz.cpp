// Whatever is sent, the gate decides the same for every way of cutting it up; what it accepts means
// the same to Beast's parser, and what is written for the backend is read in one way only.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

#include "proxy/fields.hpp"
#include "proxy/request_parser.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::proxy;
using raincheck::fuzz::require;

namespace {

namespace http = boost::beast::http;

// Small enough for the fuzzer to reach them.
constexpr RequestLimits limits{128, 512, 12};

std::string result(const RequestParser& parser, Parse parse) {
  if (parse == Parse::more) return "more";
  if (parse == Parse::rejected) return parser.rejection().detail;
  const RequestHead& head = parser.head();
  std::string out = std::string(head.method) + " " + std::string(head.target) + " " +
                    std::string(head.authority) + " " + std::to_string(head.minor_version) + " " +
                    std::to_string(static_cast<int>(head.framing)) + " " +
                    std::to_string(head.content_length) + (head.keep_alive ? " keep" : " close") +
                    (head.expect_continue ? " expect " : " ") + std::string(head.upgrade) + " " +
                    std::to_string(parser.head_size());
  for (const Field& field : head.fields) {
    out.append("\n").append(field.name).append(":").append(field.value);
  }
  return out;
}

std::string in_pieces(std::string_view input, std::size_t step) {
  RequestParser parser;
  for (std::size_t size = std::min(step, input.size());;) {
    const std::vector<char> buffer = raincheck::fuzz::copy_of(input, size);
    const Parse parse = parser.parse({buffer.data(), size}, limits);
    if (parse != Parse::more || size == input.size()) return result(parser, parse);
    size = std::min(size + step, input.size());
  }
}

// Beast is more lenient, so it must take whatever we take, and take it for the same.
void compare_with_beast(std::string_view input, const RequestParser& parser) {
  const RequestHead& head = parser.head();
  if (input.starts_with('\r')) input.remove_prefix(2);
  http::request_parser<http::empty_body> beast;
  beast.header_limit(4096);
  beast.body_limit(boost::none);
  boost::system::error_code error;
  beast.put(boost::asio::buffer(input.data(), input.size()), error);
  require(!error || error == http::error::unexpected_body, "Beast takes it too");
  require(beast.is_header_done(), "the header ends in the same place");
  const auto& message = beast.get();
  require(std::string_view(message.method_string()) == head.method, "the method");
  require(std::string_view(message.target()).ends_with(head.target) || head.target == "*" ||
              head.target.starts_with("/"),
          "the target");
  require(message.version() == 10 + static_cast<unsigned>(head.minor_version), "the version");
  require(beast.chunked() == (head.framing == Framing::chunked), "chunked");
  const auto length = beast.content_length();
  require(length.has_value() == (head.framing == Framing::length), "a length");
  require(!length || *length == head.content_length, "the length");
  raincheck::fuzz::require_same_fields(head.fields, message);
}

// The head for the backend, read by the gate again.
void write_and_read(const RequestHead& head, bool peer_trusted) {
  Identity identity;
  identity.client_address = "192.0.2.1";
  identity.peer_trusted = peer_trusted;
  identity.scheme = "http";
  identity.host = head.authority;
  identity.pseudonym = "raincheck-1";
  identity.request_id = "id";
  identity.request_id_header = "X-Request-Id";
  std::string out;
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\nHost: b\r\n");
  const std::size_t begin = out.size();
  append_request_fields(out, head, identity);
  const std::string fields = out.substr(begin);
  out.append("\r\n");
  RequestParser parser;
  require(parser.parse(out, {4096, 65536, 100}) == Parse::done, "what is written is accepted");
  const RequestHead& again = parser.head();
  require(parser.head_size() == out.size(), "it ends where it was ended");
  require(again.framing == Framing::none && again.upgrade.empty() && !again.expect_continue,
          "it says nothing about framing");
  require(again.method == head.method && again.target == head.target, "the same request line");
  for (const char* name : {"X-Forwarded-For", "X-Forwarded-Proto", "Via", "X-Request-Id"}) {
    require(again.fields.count(name) == 1, "our own fields are there once");
  }
  std::string copy;
  for (std::size_t i = 1; i < again.fields.size(); ++i) {
    require(append_field(copy, again.fields[i].name, again.fields[i].value), "may be written");
  }
  require(copy == fields, "what is read back is written the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input = raincheck::fuzz::rest_of(data, size);
  RequestParser parser;
  const std::vector<char> buffer = raincheck::fuzz::copy_of(input, input.size());
  const Parse parse = parser.parse({buffer.data(), buffer.size()}, limits);
  const std::string whole = result(parser, parse);
  require(in_pieces(input, 1) == whole, "byte by byte it is the same");
  require(in_pieces(input, data[0] % 32 + 1) == whole, "in pieces it is the same");
  if (parse == Parse::more) {
    require(input.size() < 2 + limits.request_line + limits.headers, "the limits are kept");
  }
  if (parse != Parse::done) return 0;
  compare_with_beast({buffer.data(), buffer.size()}, parser);
  write_and_read(parser.head(), (data[0] & 0x80) != 0);
  (void)names_us(parser.head(), "raincheck");
  const std::string_view address = client_address(
      parser.head(), "10.0.0.1", [](std::string_view peer) { return peer.starts_with("10."); });
  require(!address.empty() && address.size() < 46, "the client has an address");
  return 0;
}
