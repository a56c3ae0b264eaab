#include "proxy/body_decoder.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using raincheck::proxy::BodyDecoder;
using raincheck::proxy::Framing;
using Extensions = raincheck::proxy::BodyDecoder::Extensions;

namespace {

using namespace std::string_literals;

// What came out, and what became of the decoder: "payload|done N" with the bytes used,
// "payload|more", "bad".
class Reader {
 public:
  Reader(Framing framing, std::uint64_t length, Extensions extensions) {
    decoder_.start(framing, length, extensions);
  }

  // Gives all of `raw` to the decoder, in a buffer of its own; false: it is done or bad.
  bool feed(std::string_view raw) {
    const std::vector<char> buffer(raw.begin(), raw.end());
    std::string_view left(buffer.data(), buffer.size());
    while (!left.empty()) {
      const BodyDecoder::Step step = decoder_.next(left);
      bad_ = step.bad;
      if (step.bad) return false;
      CHECK((step.consumed != 0 || step.done));
      CHECK(step.payload.size() <= step.consumed);
      payload_.append(step.payload);
      used_ += step.consumed;
      left.remove_prefix(step.consumed);
      CHECK(step.done == decoder_.done());
      if (step.done) return false;
    }
    return true;
  }

  std::string result() const {
    if (bad_) return "bad";
    return payload_ + (decoder_.done() ? "|done " + std::to_string(used_) : "|more");
  }
  BodyDecoder& decoder() { return decoder_; }

 private:
  BodyDecoder decoder_;
  std::string payload_;
  std::size_t used_ = 0;
  bool bad_ = false;
};

std::string whole(const std::string& raw, Extensions extensions) {
  Reader reader(Framing::chunked, 0, extensions);
  reader.feed(raw);
  return reader.result();
}

// The result, which must not depend on where the body is split.
std::string decoded(const std::string& raw, Extensions extensions = Extensions::refused) {
  const std::string out = whole(raw, extensions);
  for (std::size_t first = 0; raw.size() < 200 && first <= raw.size(); ++first) {
    for (std::size_t second = first; second <= raw.size(); ++second) {
      Reader reader(Framing::chunked, 0, extensions);
      if (reader.feed({raw.data(), first}) && reader.feed({raw.data() + first, second - first})) {
        reader.feed({raw.data() + second, raw.size() - second});
      }
      if (reader.result() != out) {
        CAPTURE(first);
        CAPTURE(second);
        CHECK(reader.result() == out);
      }
    }
  }
  Reader bytewise(Framing::chunked, 0, extensions);
  for (const char c : raw) {
    if (!bytewise.feed({&c, 1})) break;
  }
  CHECK(bytewise.result() == out);
  return out;
}

}  // namespace

TEST_CASE("chunks are put together wherever they are split") {
  CHECK(decoded("0\r\n\r\n") == "|done 5");
  CHECK(decoded("5\r\nhello\r\n0\r\n\r\n") == "hello|done 15");
  CHECK(decoded("1\r\na\r\n2\r\nbc\r\n00003\r\ndef\r\n0\r\n\r\n") == "abcdef|done 30");
  CHECK(decoded("A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n") ==
        "01234567890123456789|done 37");
  CHECK(decoded("4\r\n\r\n0\r\r\n0\r\n\r\n") == "\r\n0\r|done 14");
  CHECK(decoded("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n") == "a|done 11");
  CHECK(decoded("5\r\nhel") == "hel|more");
  CHECK(decoded("5\r\nhello\r\n0\r\n\r") == "hello|more");
}

TEST_CASE("malformed chunks are refused") {
  for (const std::string& raw : {"\r\n"s,
                                 "x\r\n"s,
                                 "g\r\n"s,
                                 "+1\r\na"s,
                                 "-1\r\na"s,
                                 "0x1\r\na"s,
                                 " 1\r\na"s,
                                 "1 \r\na"s,
                                 "1\t\r\na"s,
                                 "1\na\r\n"s,
                                 "1\ra\r\n"s,
                                 "1\r\r\na"s,
                                 "1\r\na\n0\r\n\r\n"s,
                                 "1\r\na0\r\n\r\n"s,
                                 "1\r\nabc\r\n0\r\n\r\n"s,
                                 "1\r\na\r\r\n0"s,
                                 "1\r\na\r\n\r\n"s,
                                 "10000000000000000\r\n"s,
                                 "10000000000000001\r\n"s,
                                 "00000000000000001\r\n"s,
                                 "1\0\r\n"s,
                                 "1,1\r\n"s,
                                 "1.0\r\n"s,
                                 "0\r\n\n"s,
                                 "0\r\n\r\r\n"s,
                                 "0\n\r\n"s,
                                 "ffffffffffffffffff"s}) {
    CAPTURE(raw);
    CHECK(decoded(raw) == "bad");
    CHECK(decoded(raw, Extensions::skipped) == "bad");
  }
  CHECK(decoded("ffffffffffffffff\r\nabc") == "abc|more");
}

TEST_CASE(
    "extensions are refused from a client, and skipped in an answer if they are well-formed") {
  for (const std::string& line : {";a=b"s, ";a=\"b;c\""s, ";"s, " ;a"s, "\t ; a = b"s, ";\xe9"s}) {
    CAPTURE(line);
    const std::string raw = "1" + line + "\r\na\r\n0" + line + "\r\n\r\n";
    CHECK(decoded(raw) == "bad");
    CHECK(decoded(raw, Extensions::skipped) == "a|done " + std::to_string(raw.size()));
  }
  for (const std::string& line :
       {";a=\n"s, ";a=\"\n\""s, ";a=\"\0\""s, ";a\rb"s, ";a\x7f"s, " a"s, " "s, "a b"s}) {
    CAPTURE(line);
    CHECK(decoded("1" + line + "\r\na\r\n0\r\n\r\n", Extensions::skipped) == "bad");
  }
  const auto extended = [](std::size_t size) {
    const std::string line = "1;" + std::string(size - 1, 'x') + "\r\na\r\n";
    return whole(line + line + "0\r\n\r\n", Extensions::skipped).substr(0, 3);
  };
  CHECK(extended(BodyDecoder::extension_bytes_max) == "aa|");
  CHECK(extended(BodyDecoder::extension_bytes_max + 1) == "bad");
}

TEST_CASE("trailer fields are checked for their form and dropped") {
  const auto trailer = [](const std::string& lines) { return decoded("1\r\na\r\n0\r\n" + lines); };
  CHECK(trailer("A: b\r\n\r\n") == "a|done 17");
  CHECK(trailer("Content-Length: 9\r\nAuthorization:x\r\nEmpty:\r\n\r\n") == "a|done 55");
  for (const std::string& lines :
       {"nonsense\r\n\r\n"s, ": b\r\n\r\n"s, "A : b\r\n\r\n"s, "A: b\r\n c\r\n\r\n"s,
        " A: b\r\n\r\n"s, "A: b\n\r\n"s, "A: b\rc\r\n\r\n"s, "A: \0\r\n\r\n"s, "A: \x7f\r\n\r\n"s,
        "A(b: c\r\n\r\n"s, "A: b\r\n\n"s, "A: b\r\n\rx"s}) {
    CAPTURE(lines);
    CHECK(trailer(lines) == "bad");
  }
  const auto sized = [](std::size_t size) {
    return whole("0\r\nA:" + std::string(size - 5, 'x') + "\r\n\r", Extensions::refused);
  };
  CHECK(sized(BodyDecoder::trailer_bytes_max) == "|more");
  CHECK(sized(BodyDecoder::trailer_bytes_max + 1) == "bad");
}

TEST_CASE("a body of known length ends with its last byte") {
  Reader reader(Framing::length, 5, Extensions::refused);
  CHECK(*reader.decoder().remaining() == 5);
  CHECK(reader.feed("hel"));
  CHECK(*reader.decoder().remaining() == 2);
  CHECK(!reader.decoder().end_of_input());
  CHECK(!reader.feed("loGET /"));
  CHECK(reader.result() == "hello|done 5");
  CHECK(*reader.decoder().remaining() == 0);
  CHECK(reader.decoder().end_of_input());
  const BodyDecoder::Step after = reader.decoder().next("GET /");
  CHECK((after.done && after.consumed == 0 && after.payload.empty()));
}

TEST_CASE("a body without a byte is done from the start") {
  BodyDecoder decoder;
  CHECK(decoder.done());
  decoder.start(Framing::length, 0);
  CHECK(decoder.done());
  decoder.start(Framing::chunked, 0);
  CHECK(!decoder.done());
  decoder.start(Framing::none, 7);
  CHECK(decoder.done());
  CHECK(decoder.end_of_input());
  CHECK(!decoder.remaining());
}

TEST_CASE("only the end of the connection completes a body that is delimited by it") {
  Reader reader(Framing::until_close, 0, Extensions::refused);
  CHECK(reader.feed("hello "));
  CHECK(reader.feed("world"));
  CHECK(reader.result() == "hello world|more");
  CHECK(reader.decoder().end_of_input());
  CHECK(reader.decoder().done());
}

TEST_CASE("the end of the connection within a body cuts it short") {
  for (const char* raw :
       {"", "5", "5\r\n", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"}) {
    CAPTURE(raw);
    Reader reader(Framing::chunked, 0, Extensions::refused);
    reader.feed(raw);
    CHECK(!reader.decoder().end_of_input());
  }
}

TEST_CASE("what is malformed stays so") {
  BodyDecoder decoder;
  decoder.start(Framing::chunked, 0);
  CHECK(decoder.next("x").bad);
  CHECK(decoder.next("0\r\n\r\n").bad);
  CHECK(!decoder.end_of_input());
  decoder.start(Framing::chunked, 0);
  CHECK(decoder.next("0\r\n\r\n").done);
}
