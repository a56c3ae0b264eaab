// Bodies on their way to and from the store: small ones in memory, large ones through spool files,
// never wholly in memory when large. Each belongs to one coroutine of one shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "jobs/job.hpp"
#include "store/store.hpp"

namespace raincheck::proxy {

using store::awaitable;

// Between two tries to write what a full disk does not take.
constexpr std::chrono::milliseconds full_disk_pause{250};

// Takes a body piece by piece. Its spool file is removed with it unless release() was called: the
// commit that names the file is durable.
class BodyWriter {
 public:
  BodyWriter(store::Client& store,
             std::uint64_t inline_max,
             store::SpoolUse use = store::SpoolUse::accepted)
      : store_(store), inline_max_(inline_max), use_(use) {}

  // Without waiting, while it fits in memory; false: call append().
  bool try_append(std::string_view bytes) {
    if (writer_ || body_.size() + bytes.size() > inline_max_) return false;
    body_.append(bytes);
    return true;
  }
  // After store_full nothing of `bytes` was taken, and the call may be repeated.
  awaitable<jobs::Result<void>> append(std::string_view bytes);
  // The whole body, named. Only after sync() does a spooled one survive a power cut.
  jobs::Body name();
  awaitable<jobs::Result<void>> sync();
  // Both.
  awaitable<jobs::Result<jobs::Body>> finish();
  void release() {
    if (writer_) writer_->release();
  }

  std::uint64_t size() const { return writer_ ? writer_->size() : body_.size(); }

 private:
  store::Client& store_;
  std::uint64_t inline_max_;
  store::SpoolUse use_;
  std::string body_;
  std::unique_ptr<store::SpoolWriter> writer_;
};

// Gives a body piece by piece.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece, valid until the next call; empty at the end.
  virtual awaitable<jobs::Result<std::string_view>> next() = 0;
};

// A stored body, from `offset` and `size` bytes long. The body must outlive it.
class BodyReader final : public BodySource {
 public:
  static constexpr std::size_t piece_bytes = 256 * 1024;

  BodyReader(store::Client& store, const jobs::Body& body)
      : BodyReader(store, body, 0, body.size) {}
  BodyReader(store::Client& store, const jobs::Body& body, std::uint64_t offset, std::uint64_t size)
      : store_(store), body_(body), offset_(offset), left_(size) {}

  std::uint64_t left() const { return left_; }
  bool in_memory() const { return body_.spool == 0; }
  awaitable<jobs::Result<std::string_view>> next() override;

 private:
  store::Client& store_;
  const jobs::Body& body_;
  std::uint64_t offset_;
  std::uint64_t left_;
  std::unique_ptr<store::SpoolReader> reader_;
  std::unique_ptr<char[]> piece_;
};

}  // namespace raincheck::proxy
