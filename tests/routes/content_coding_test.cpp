#include "routes/content_coding.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace raincheck::routes;

namespace {

constexpr ContentCoding codings[] = {ContentCoding::gzip, ContentCoding::deflate,
                                     ContentCoding::br};

std::string encoded(ContentCoding coding, std::string_view text, std::size_t step = 1000) {
  const auto encoder = ContentEncoder::make(coding);
  std::string out;
  while (!text.empty()) {
    encoder->write(text.substr(0, step), out);
    text.remove_prefix(std::min(step, text.size()));
  }
  encoder->finish(out);
  return out;
}

// What it decodes to, or "! " and why there is nothing.
std::string decoded(ContentCoding coding,
                    std::string_view text,
                    std::size_t step = 1000,
                    ExpansionLimit limit = {}) {
  const auto decoder = ContentDecoder::make(coding, limit);
  std::string out;
  while (!text.empty()) {
    std::string_view piece = text.substr(0, step);
    text.remove_prefix(piece.size());
    ContentDecoder::Step done;
    do {
      const std::size_t before = out.size();
      done = decoder->next(piece, out);
      if (done.bad != nullptr) return std::string("! ") + done.bad;
      CHECK(out.size() - before <= ContentDecoder::piece_bytes);
      piece.remove_prefix(done.consumed);
    } while (!piece.empty() || done.has_more);
  }
  return decoder->is_complete() ? out : "! cut short";
}

std::string sample() {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "line " + std::to_string(i * i) + "\n";
  return text;
}

}  // namespace

TEST_CASE("what is encoded is decoded to the same, however both are cut") {
  const std::string text = sample();
  for (const ContentCoding coding : codings) {
    CAPTURE(name(coding));
    const std::string whole = encoded(coding, text, text.size());
    CHECK(whole.size() < text.size() / 2);
    CHECK(decoded(coding, whole, whole.size()) == text);
    CHECK(decoded(coding, whole, 1) == text);
    CHECK(decoded(coding, encoded(coding, text, 7), 13) == text);
    CHECK(decoded(coding, encoded(coding, "")) == "");
  }
}

TEST_CASE("a body that is cut short, broken or goes on is not decoded") {
  for (const ContentCoding coding : codings) {
    CAPTURE(name(coding));
    const std::string whole = encoded(coding, sample());
    CHECK(decoded(coding, whole.substr(0, whole.size() - 1)) == "! cut short");
    CHECK(decoded(coding, whole.substr(0, whole.size() / 2)) == "! cut short");
    CHECK(decoded(coding, whole + "x").substr(0, 2) == "! ");
    CHECK(decoded(coding, "\xFF\xFF\xFF\xFF this is no such coding").substr(0, 2) == "! ");
  }
  std::string broken = encoded(ContentCoding::gzip, sample());
  broken[broken.size() - 6] ^= 1;  // its checksum
  CHECK(decoded(ContentCoding::gzip, broken) == "! it is not what its coding says");
}

TEST_CASE("gzip may have several members") {
  const std::string two = encoded(ContentCoding::gzip, "a") + encoded(ContentCoding::gzip, "b");
  CHECK(decoded(ContentCoding::gzip, two) == "ab");
  CHECK(decoded(ContentCoding::gzip, two, 1) == "ab");
}

TEST_CASE("deflate is read with and without the header of zlib") {
  const std::string zlib = encoded(ContentCoding::deflate, "hello hello hello");
  const std::string raw = zlib.substr(2, zlib.size() - 6);
  CHECK(decoded(ContentCoding::deflate, zlib, 1) == "hello hello hello");
  CHECK(decoded(ContentCoding::deflate, raw, 1) == "hello hello hello");
}

TEST_CASE("a body that expands beyond the limit is a bomb") {
  const std::string zeros(std::size_t{16} << 20, '\0');
  for (const ContentCoding coding : codings) {
    CAPTURE(name(coding));
    const std::string bomb = encoded(coding, zeros, zeros.size());
    CHECK(decoded(coding, bomb) == "! it expands beyond the limit");
    CHECK(decoded(coding, bomb, 1) == "! it expands beyond the limit");
    CHECK(decoded(coding, bomb, 1000, {zeros.size(), 1}) == zeros);
    CHECK(decoded(coding, bomb, 1000, {zeros.size() - 1, 1}) == "! it expands beyond the limit");
  }
  const std::string text = sample();
  const std::string usual = encoded(ContentCoding::gzip, text);
  CHECK(decoded(ContentCoding::gzip, usual, 1000, {0, 100}) == text);
}

TEST_CASE("flush lets the reader see what was written") {
  for (const ContentCoding coding : codings) {
    CAPTURE(name(coding));
    const auto encoder = ContentEncoder::make(coding);
    const auto decoder = ContentDecoder::make(coding);
    std::string in;
    encoder->write("event", in);
    encoder->flush(in);
    std::string out;
    decoder->next(in, out);
    CHECK(out == "event");
    CHECK_FALSE(decoder->is_complete());
  }
}

TEST_CASE("Content-Encoding names one coding, or none") {
  const auto parsed = [](std::string_view value) -> std::string {
    const auto coding = parse_content_encoding(value);
    return coding ? name(*coding) : "unknown";
  };
  CHECK(parsed("") == "identity");
  CHECK(parsed("Identity") == "identity");
  CHECK(parsed(" , deflate ,identity\t") == "deflate");
  CHECK(parsed("br") == "br");
  CHECK(parsed("GZip") == "gzip");
  CHECK(parsed("x-gzip") == "gzip");
  CHECK(parsed("zstd") == "unknown");
  CHECK(parsed("gzip, zstd") == "unknown");
  CHECK(parsed("gzip;q=1") == "unknown");
  CHECK(parsed("gzip, gzip") == "unknown");
}
