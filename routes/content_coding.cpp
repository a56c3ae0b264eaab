#include "routes/content_coding.hpp"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>

#include "jobs/text.hpp"

namespace raincheck::routes {
namespace {

constexpr int gzip_window = 15 + 16;
constexpr int zlib_window = 15;
constexpr int raw_window = -15;
// Quick rather than small: a body is encoded while its client waits.
constexpr int zlib_level = 5;
constexpr int brotli_quality = 4;
constexpr int brotli_window = 18;

// Counts what goes in and comes out.
class Expansion {
 public:
  explicit Expansion(ExpansionLimit limit) : limit_(limit) {}

  bool is_within(std::size_t in, std::size_t out) {
    in_ += in;
    out_ += out;
    return out_ <= limit_.free_bytes || out_ / limit_.ratio <= in_;
  }

 private:
  const ExpansionLimit limit_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
};

constexpr const char* too_large = "it expands beyond the limit";

class ZlibDecoder final : public ContentDecoder {
 public:
  ZlibDecoder(ContentCoding coding, ExpansionLimit limit) : coding_(coding), expansion_(limit) {
    if (coding == ContentCoding::gzip) start(gzip_window);
  }
  ZlibDecoder(const ZlibDecoder&) = delete;
  ZlibDecoder& operator=(const ZlibDecoder&) = delete;
  ~ZlibDecoder() override {
    if (is_started_) inflateEnd(&stream_);
  }

  Step next(std::string_view in, std::string& out) override {
    if (in.empty() && !has_more_) return {};
    if (is_complete_) {
      if (coding_ != ContentCoding::gzip) return {0, false, "something follows its end"};
      inflateReset(&stream_);  // another member: RFC 1952 section 2.2
      is_complete_ = false;
    }
    if (!is_started_) start(has_zlib_header(in.front()) ? zlib_window : raw_window);
    return inflate_piece(in, out);
  }

  bool is_complete() const override { return is_complete_; }

 private:
  // "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some senders leave its header out.
  // The first byte tells them apart: as raw deflate it would be a stored block with bits set
  // that no encoder sets.
  static bool has_zlib_header(char first) { return (first & 0x0F) == Z_DEFLATED; }

  void start(int window) {
    if (inflateInit2(&stream_, window) != Z_OK) throw std::bad_alloc();
    is_started_ = true;
  }

  Step inflate_piece(std::string_view in, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + piece_bytes);
    const auto offered = static_cast<uInt>(std::min(in.size(), std::size_t{1} << 30));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = offered;
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(piece_bytes);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    const std::size_t made = piece_bytes - stream_.avail_out;
    out.resize(before + made);
    is_complete_ = result == Z_STREAM_END;
    has_more_ = !is_complete_ && stream_.avail_out == 0;
    const std::size_t consumed = offered - stream_.avail_in;
    // Z_BUF_ERROR only says that there was nothing to do.
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return {consumed, false, "it is not what its coding says"};
    }
    if (!expansion_.is_within(consumed, made)) return {consumed, false, too_large};
    return {consumed, has_more_, nullptr};
  }

  const ContentCoding coding_;
  Expansion expansion_;
  z_stream stream_{};
  bool is_started_ = false;
  bool is_complete_ = false;
  bool has_more_ = false;
};

class BrotliDecoder final : public ContentDecoder {
 public:
  explicit BrotliDecoder(ExpansionLimit limit)
      : expansion_(limit), state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!state_) throw std::bad_alloc();
  }

  Step next(std::string_view in, std::string& out) override {
    if (is_complete()) return {0, false, in.empty() ? nullptr : "something follows its end"};
    const std::size_t before = out.size();
    out.resize(before + piece_bytes);
    std::size_t in_left = in.size();
    auto* from = reinterpret_cast<const std::uint8_t*>(in.data());
    std::size_t out_left = piece_bytes;
    auto* to = reinterpret_cast<std::uint8_t*>(out.data() + before);
    const auto result =
        BrotliDecoderDecompressStream(state_.get(), &in_left, &from, &out_left, &to, nullptr);
    const std::size_t made = piece_bytes - out_left;
    out.resize(before + made);
    const std::size_t consumed = in.size() - in_left;
    if (result == BROTLI_DECODER_RESULT_ERROR) {
      return {consumed, false, "it is not what its coding says"};
    }
    if (!expansion_.is_within(consumed, made)) return {consumed, false, too_large};
    return {consumed, result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT, nullptr};
  }

  bool is_complete() const override { return BrotliDecoderIsFinished(state_.get()) != 0; }

 private:
  struct Destroy {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
  };
  Expansion expansion_;
  const std::unique_ptr<BrotliDecoderState, Destroy> state_;
};

class ZlibEncoder final : public ContentEncoder {
 public:
  explicit ZlibEncoder(int window) {
    if (deflateInit2(&stream_, zlib_level, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ZlibEncoder(const ZlibEncoder&) = delete;
  ZlibEncoder& operator=(const ZlibEncoder&) = delete;
  ~ZlibEncoder() override { deflateEnd(&stream_); }

  void write(std::string_view in, std::string& out) override { run(in, Z_NO_FLUSH, out); }
  void flush(std::string& out) override { run({}, Z_SYNC_FLUSH, out); }
  void finish(std::string& out) override { run({}, Z_FINISH, out); }

 private:
  void run(std::string_view in, int mode, std::string& out) {
    constexpr std::size_t piece = 16'384;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    do {
      const std::size_t before = out.size();
      out.resize(before + piece);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_.avail_out = static_cast<uInt>(piece);
      deflate(&stream_, mode);
      out.resize(before + piece - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  z_stream stream_{};
};

class BrotliEncoder final : public ContentEncoder {
 public:
  BrotliEncoder() : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!state_) throw std::bad_alloc();
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, brotli_quality);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, brotli_window);
  }

  void write(std::string_view in, std::string& out) override {
    run(in, BROTLI_OPERATION_PROCESS, out);
  }
  void flush(std::string& out) override { run({}, BROTLI_OPERATION_FLUSH, out); }
  void finish(std::string& out) override { run({}, BROTLI_OPERATION_FINISH, out); }

 private:
  void run(std::string_view in, BrotliEncoderOperation operation, std::string& out) {
    std::size_t in_left = in.size();
    auto* from = reinterpret_cast<const std::uint8_t*>(in.data());
    do {
      std::size_t none = 0;
      const bool is_good = BrotliEncoderCompressStream(state_.get(), operation, &in_left, &from,
                                                       &none, nullptr, nullptr) != 0;
      if (!is_good) throw std::bad_alloc();  // nothing else can go wrong
      std::size_t made = 0;
      const std::uint8_t* bytes = BrotliEncoderTakeOutput(state_.get(), &made);
      out.append(reinterpret_cast<const char*>(bytes), made);
    } while (in_left > 0 || BrotliEncoderHasMoreOutput(state_.get()) != 0);
  }

  struct Destroy {
    void operator()(BrotliEncoderState* state) const { BrotliEncoderDestroyInstance(state); }
  };
  const std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

std::optional<ContentCoding> parse_coding(std::string_view text) {
  constexpr std::pair<std::string_view, ContentCoding> codings[] = {
      {"identity", ContentCoding::identity},
      {"gzip", ContentCoding::gzip},
      {"x-gzip", ContentCoding::gzip},  // RFC 9110 section 8.4.1.3
      {"deflate", ContentCoding::deflate},
      {"br", ContentCoding::br}};
  for (const auto& [word, coding] : codings) {
    if (jobs::equals_ignoring_case(word, text)) return coding;
  }
  return std::nullopt;
}

}  // namespace

const char* name(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::identity:
      return "identity";
    case ContentCoding::gzip:
      return "gzip";
    case ContentCoding::deflate:
      return "deflate";
    case ContentCoding::br:
      return "br";
  }
  return "";
}

std::optional<ContentCoding> parse_content_encoding(std::string_view value) {
  ContentCoding found = ContentCoding::identity;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view word = jobs::trim(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (word.empty()) continue;
    const auto coding = parse_coding(word);
    if (!coding) return std::nullopt;
    if (*coding == ContentCoding::identity) continue;
    if (found != ContentCoding::identity) return std::nullopt;
    found = *coding;
  }
  return found;
}

std::unique_ptr<ContentDecoder> ContentDecoder::make(ContentCoding coding, ExpansionLimit limit) {
  switch (coding) {
    case ContentCoding::identity:
      return nullptr;
    case ContentCoding::gzip:
    case ContentCoding::deflate:
      return std::make_unique<ZlibDecoder>(coding, limit);
    case ContentCoding::br:
      return std::make_unique<BrotliDecoder>(limit);
  }
  return nullptr;
}

std::unique_ptr<ContentEncoder> ContentEncoder::make(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::identity:
      return nullptr;
    case ContentCoding::gzip:
      return std::make_unique<ZlibEncoder>(gzip_window);
    case ContentCoding::deflate:
      return std::make_unique<ZlibEncoder>(zlib_window);
    case ContentCoding::br:
      return std::make_unique<BrotliEncoder>();
  }
  return nullptr;
}

Decoded decode(ContentCoding coding, std::string_view body, std::size_t size_max) {
  Decoded out;
  const std::unique_ptr<ContentDecoder> decoder = ContentDecoder::make(coding);
  if (!decoder) {
    out.bytes = body.substr(0, size_max);
    out.is_whole = body.size() <= size_max;
    return out;
  }
  while (out.bytes.size() < size_max) {
    const ContentDecoder::Step step = decoder->next(body, out.bytes);
    body.remove_prefix(step.consumed);
    out.bad = step.bad;
    if (step.bad || (body.empty() && !step.has_more)) break;
  }
  out.is_whole = !out.bad && body.empty() && decoder->is_complete();
  return out;
}

}  // namespace raincheck::routes
