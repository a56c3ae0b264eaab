// Bytes received and not yet consumed. Its memory comes from a shard-wide free list while it holds
// any, so that an idle connection costs none. Lives on one shard.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace raincheck::proxy {

// The free list of one shard.
class Buffers {
 public:
  static constexpr std::size_t block_bytes = 16 * 1024;
  static constexpr std::size_t kept_max = 256;

  std::unique_ptr<char[]> take();
  void give(std::unique_ptr<char[]> block);

 private:
  std::vector<std::unique_ptr<char[]>> free_;
};

class InputBuffer {
 public:
  explicit InputBuffer(Buffers& buffers) : buffers_(buffers) {}
  ~InputBuffer() { release(); }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t size);
  void clear() { begin_ = end_ = 0; }

  // Room for more, made by moving what is there to the front or, up to `size_max` in all, by
  // growing. Empty when that is reached. Views into the buffer end here.
  std::span<char> prepare(std::size_t size_max = Buffers::block_bytes);
  void commit(std::size_t size) { end_ += size; }
  // Gives the memory back; what was in it is gone.
  void release();

 private:
  Buffers& buffers_;
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace raincheck::proxy
