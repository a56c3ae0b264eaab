#include "proxy/body.hpp"

#include <algorithm>

namespace raincheck::proxy {

awaitable<jobs::Result<void>> BodyWriter::append(std::string_view bytes) {
  if (try_append(bytes)) co_return jobs::Result<void>();
  if (!writer_) {
    auto created = co_await store_.create(use_);
    if (!created) co_return created.error();
    if (!body_.empty()) {
      auto moved = co_await store_.append(**created, body_);
      if (!moved) co_return moved.error();
    }
    writer_ = std::move(*created);
    body_.clear();
    body_.shrink_to_fit();
  }
  co_return co_await store_.append(*writer_, bytes);
}

jobs::Body BodyWriter::name() {
  if (!writer_) return jobs::Body::inline_bytes(std::move(body_));
  jobs::Body body;
  body.spool = writer_->number();
  body.size = writer_->size();
  return body;
}

awaitable<jobs::Result<void>> BodyWriter::sync() {
  if (!writer_) co_return jobs::Result<void>();
  co_return co_await store_.sync(*writer_);
}

awaitable<jobs::Result<jobs::Body>> BodyWriter::finish() {
  const jobs::Result<void> synced = co_await sync();
  if (!synced) co_return synced.error();
  co_return name();
}

awaitable<jobs::Result<std::string_view>> BodyReader::next() {
  if (left_ == 0) co_return std::string_view();
  if (body_.spool == 0) {
    const std::string_view piece = std::string_view(body_.bytes).substr(offset_, left_);
    left_ = 0;
    co_return piece;
  }
  if (!reader_) {
    auto opened = co_await store_.open(body_.spool);
    if (!opened) co_return opened.error();
    reader_ = std::move(*opened);
    piece_ = std::make_unique<char[]>(std::min<std::uint64_t>(piece_bytes, left_));
  }
  const std::size_t size = std::min<std::uint64_t>(piece_bytes, left_);
  const auto read = co_await store_.read(*reader_, offset_, std::span<char>(piece_.get(), size));
  if (!read) co_return read.error();
  offset_ += size;
  left_ -= size;
  co_return std::string_view(piece_.get(), size);
}

}  // namespace raincheck::proxy
