// A chunked body is decoded the same however it is cut up, and as by another decoder, which is
// written for the whole of it at once.
#include "proxy/body_decoder.hpp"
#include "proxy/characters.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::proxy;
using raincheck::fuzz::require;
using Extensions = BodyDecoder::Extensions;

namespace {

enum class End { more, done, bad };

struct Decoded {
  End end = End::more;
  std::string payload;
  std::size_t used = 0;
};

Decoded in_pieces(std::string_view input, std::size_t step, Extensions extensions) {
  Decoded out;
  BodyDecoder decoder;
  decoder.start(Framing::chunked, 0, extensions);
  while (out.used < input.size()) {
    const std::string_view left = input.substr(out.used);
    const std::vector<char> buffer = raincheck::fuzz::copy_of(left, std::min(step, left.size()));
    const BodyDecoder::Step next = decoder.next({buffer.data(), buffer.size()});
    if (next.bad) return {End::bad, {}, 0};
    require(next.consumed != 0 && next.consumed <= buffer.size(), "there is progress");
    require(next.payload.empty() ||
                (next.payload.data() >= buffer.data() &&
                 next.payload.data() + next.payload.size() <= buffer.data() + next.consumed),
            "the payload is a piece of what was consumed");
    out.payload.append(next.payload);
    out.used += next.consumed;
    require(next.done == decoder.done(), "done is done");
    if (next.done) {
      out.end = End::done;
      break;
    }
  }
  return out;
}

bool is_line_of(std::string_view line, std::uint8_t characters) {
  for (const char c : line) {
    if (!is_character(c, characters)) return false;
  }
  return true;
}

// The size in a chunk's first line, or -1.
long long size_in(std::string_view line, Extensions extensions) {
  std::size_t digits = 0;
  while (digits < line.size() && hex_digit(line[digits]) >= 0) ++digits;
  if (digits == 0 || digits > 16) return -1;
  std::string_view extension = line.substr(digits);
  if (!extension.empty()) {
    if (extensions == Extensions::refused) return -1;
    if (extension.size() > BodyDecoder::extension_bytes_max) return -1;
    if (!is_line_of(extension, characters::value)) return -1;
    const std::size_t start = extension.find_first_not_of(" \t");
    if (start == std::string_view::npos || extension[start] != ';') return -1;
  }
  const auto size = std::stoull(std::string(line.substr(0, digits)), nullptr, 16);
  return static_cast<long long>(std::min<unsigned long long>(size, 1ULL << 62));
}

Decoded reference(std::string_view input, Extensions extensions) {
  Decoded out;
  const auto take_line = [&](std::string_view& line) {
    const std::size_t end = input.find("\r\n", out.used);
    if (end == std::string_view::npos) return false;
    line = input.substr(out.used, end - out.used);
    out.used = end + 2;
    return true;
  };
  std::string_view line;
  while (take_line(line)) {
    const long long size = size_in(line, extensions);
    if (size < 0) return {End::bad, {}, 0};
    if (size == 0) {
      const std::size_t trailer = out.used;
      while (take_line(line)) {
        if (out.used - trailer > BodyDecoder::trailer_bytes_max + 1) return {End::bad, {}, 0};
        if (line.empty()) {
          out.end = End::done;
          return out;
        }
        const std::size_t colon = line.find(':');
        if (colon == 0 || colon == std::string_view::npos) return {End::bad, {}, 0};
        if (!is_line_of(line.substr(0, colon), characters::token)) return {End::bad, {}, 0};
        if (!is_line_of(line.substr(colon + 1), characters::value)) return {End::bad, {}, 0};
      }
      return out;
    }
    const auto available = static_cast<long long>(input.size() - out.used);
    const auto taken = static_cast<std::size_t>(std::min(size, available));
    out.payload.append(input.substr(out.used, taken));
    out.used += taken;
    if (available < size + 2) return out;
    if (input.substr(out.used, 2) != "\r\n") return {End::bad, {}, 0};
    out.used += 2;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input = raincheck::fuzz::rest_of(data, size);
  const Extensions extensions = (data[0] & 0x80) != 0 ? Extensions::skipped : Extensions::refused;
  const Decoded whole = in_pieces(input, input.size(), extensions);
  for (const std::size_t step : {std::size_t{1}, data[0] % 32 + std::size_t{2}}) {
    const Decoded pieces = in_pieces(input, step, extensions);
    require(pieces.end == whole.end && pieces.payload == whole.payload && pieces.used == whole.used,
            "in pieces it is the same");
  }
  const Decoded other = reference(input, extensions);
  if (whole.end == End::done || other.end == End::done) {
    require(other.end == whole.end && other.payload == whole.payload && other.used == whole.used,
            "both decoders agree");
  } else {
    // The other one looks at whole lines only, and sees later that one is bad.
    require(whole.end == End::bad || other.end != End::bad, "what is bad is refused");
  }
  return 0;
}
