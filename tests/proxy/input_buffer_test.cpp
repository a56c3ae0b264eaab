#include "proxy/input_buffer.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace raincheck::proxy;

namespace {

void append(InputBuffer& buffer, std::string_view bytes, std::size_t size_max) {
  while (!bytes.empty()) {
    const std::span<char> room = buffer.prepare(size_max);
    REQUIRE_FALSE(room.empty());
    const std::size_t size = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), size);
    buffer.commit(size);
    bytes.remove_prefix(size);
  }
}

std::string numbers(std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + " ";
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("bytes come out as they went in, and what is consumed is gone") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  CHECK(buffer.empty());
  append(buffer, "GET / HTTP/1.1", Buffers::block_bytes);
  CHECK(buffer.view() == "GET / HTTP/1.1");
  buffer.consume(4);
  CHECK(buffer.view() == "/ HTTP/1.1");
  buffer.consume(10);
  CHECK(buffer.empty());
}

TEST_CASE("a block takes all of its bytes and not one beyond") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  const std::string bytes = numbers(Buffers::block_bytes);
  append(buffer, bytes, Buffers::block_bytes);
  CHECK(buffer.view() == bytes);
  CHECK(buffer.prepare().empty());
}

TEST_CASE("room is made by moving what is left to the front") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  const std::string bytes = numbers(Buffers::block_bytes);
  append(buffer, bytes, Buffers::block_bytes);
  buffer.consume(100);
  CHECK(buffer.prepare().size() == 100);
  CHECK(buffer.view() == std::string_view(bytes).substr(100));
}

TEST_CASE("a buffer grows to what it may, and keeps what is in it") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  constexpr std::size_t size_max = Buffers::block_bytes * 3;
  const std::string bytes = numbers(size_max);
  append(buffer, bytes, size_max);
  CHECK(buffer.view() == bytes);
  CHECK(buffer.prepare(size_max).empty());
  CHECK(buffer.prepare(size_max + 1).size() == 1);
  CHECK(buffer.view() == bytes);
}

TEST_CASE("a grown buffer goes on moving before it grows") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  constexpr std::size_t size_max = Buffers::block_bytes * 2;
  const std::string bytes = numbers(size_max);
  append(buffer, bytes, size_max);
  buffer.consume(size_max - 7);
  const std::span<char> room = buffer.prepare(size_max * 2);
  CHECK(room.size() == size_max - 7);
  CHECK(buffer.view() == std::string_view(bytes).substr(size_max - 7));
}

TEST_CASE("memory that was given back is used again") {
  Buffers buffers;
  InputBuffer first(buffers);
  const char* const block = first.prepare().data();
  first.release();
  CHECK(first.empty());
  InputBuffer second(buffers);
  CHECK(second.prepare().data() == block);
}

TEST_CASE("a buffer that gave its memory back takes bytes again") {
  Buffers buffers;
  InputBuffer buffer(buffers);
  append(buffer, numbers(Buffers::block_bytes * 2), Buffers::block_bytes * 2);
  buffer.release();
  append(buffer, "again", Buffers::block_bytes);
  CHECK(buffer.view() == "again");
}

TEST_CASE("no more blocks are kept than there may be") {
  Buffers buffers;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::size_t i = 0; i < Buffers::kept_max + 1; ++i) blocks.push_back(buffers.take());
  for (auto& block : blocks) buffers.give(std::move(block));
  std::vector<std::unique_ptr<char[]>> again;
  for (std::size_t i = 0; i < Buffers::kept_max + 1; ++i) again.push_back(buffers.take());
  CHECK(again.back() != nullptr);
}
