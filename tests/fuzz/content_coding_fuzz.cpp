// A coded body is decoded the same however it is cut, or refused, and what is encoded is decoded to
// the same.
#include "routes/content_coding.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::routes;
using raincheck::fuzz::require;

namespace {

struct DecodedText {
  bool is_good = false;
  std::string text;
};

DecodedText in_pieces(ContentCoding coding, std::string_view input, std::size_t step) {
  const auto decoder = ContentDecoder::make(coding, {std::uint64_t{1} << 20, 50});
  DecodedText out;
  while (!input.empty()) {
    const std::vector<char> piece = raincheck::fuzz::copy_of(input, std::min(step, input.size()));
    std::string_view left(piece.data(), piece.size());
    input.remove_prefix(piece.size());
    ContentDecoder::Step done;
    do {
      done = decoder->next(left, out.text);
      if (done.bad != nullptr) return {};
      require(done.consumed <= left.size(), "no more is consumed than there is");
      require(done.consumed > 0 || done.has_more || left.empty(), "there is progress");
      left.remove_prefix(done.consumed);
    } while (!left.empty() || done.has_more);
  }
  out.is_good = decoder->is_complete();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input = raincheck::fuzz::rest_of(data, size);
  const auto coding = static_cast<ContentCoding>(1 + data[0] % 3);
  const DecodedText whole = in_pieces(coding, input, input.size());
  const DecodedText pieces = in_pieces(coding, input, data[0] / 3 % 16 + std::size_t{1});
  require(whole.is_good == pieces.is_good, "in pieces it is the same");
  require(!whole.is_good || whole.text == pieces.text, "and says the same");
  const auto encoder = ContentEncoder::make(coding);
  std::string encoded;
  encoder->write(input, encoded);
  encoder->finish(encoded);
  require(in_pieces(coding, encoded, 7).text == input, "what is encoded is decoded to the same");
  return 0;
}
