#include "proxy/input_buffer.hpp"

#include <algorithm>
#include <cstring>

namespace raincheck::proxy {

std::unique_ptr<char[]> Buffers::take() {
  // Not make_unique: that would touch every page of a block that is mostly not used.
  if (free_.empty()) return std::unique_ptr<char[]>(new char[block_bytes]);
  std::unique_ptr<char[]> block = std::move(free_.back());
  free_.pop_back();
  return block;
}

void Buffers::give(std::unique_ptr<char[]> block) {
  if (free_.size() < kept_max) free_.push_back(std::move(block));
}

void InputBuffer::consume(std::size_t size) {
  begin_ += size;
  if (begin_ == end_) begin_ = end_ = 0;
}

std::span<char> InputBuffer::prepare(std::size_t size_max) {
  if (!data_) {
    data_ = buffers_.take();
    capacity_ = Buffers::block_bytes;
  }
  if (end_ == capacity_ && begin_ != 0) {
    std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_ && capacity_ < size_max) {
    const std::size_t capacity = std::min(capacity_ * 2, size_max);
    std::unique_ptr<char[]> larger(new char[capacity]);
    std::memcpy(larger.get(), data_.get(), end_);
    if (capacity_ == Buffers::block_bytes) buffers_.give(std::move(data_));
    data_ = std::move(larger);
    capacity_ = capacity;
  }
  return {data_.get() + end_, capacity_ - end_};
}

void InputBuffer::release() {
  if (data_ && capacity_ == Buffers::block_bytes) buffers_.give(std::move(data_));
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

}  // namespace raincheck::proxy
