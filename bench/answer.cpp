#include "bench/answer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace raincheck::bench {
namespace {

constexpr std::size_t filler_bytes = 64 * 1024;
constexpr std::size_t number_digits = 16;

void write_number(char* out, std::uint64_t value) {
  for (std::size_t i = number_digits; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(is_digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

// Printable, without a period, so that a piece of it in the wrong place never looks right.
const std::array<char, filler_bytes>& filler() {
  static const auto table = [] {
    std::array<char, filler_bytes> made{};
    std::uint64_t state = 1;
    for (char& c : made) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      c = static_cast<char>('0' + (state >> 58));
    }
    return made;
  }();
  return table;
}

}  // namespace

void write_token(char* out, Token token) {
  write_number(out, token.run);
  write_number(out + number_digits, token.sequence);
}

std::optional<Token> read_token(std::string_view body) {
  if (body.size() < token_bytes) return std::nullopt;
  const auto run = read_number(body.substr(0, number_digits));
  const auto sequence = read_number(body.substr(number_digits, number_digits));
  if (!run || !sequence) return std::nullopt;
  return Token{*run, *sequence};
}

std::uint64_t digest(std::string_view body) {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
  std::uint64_t hash = body.size() * odd;
  const auto mix = [&hash](std::uint64_t word) { hash = std::rotl((hash ^ word) * odd, 29); };
  std::uint64_t word = 0;
  while (body.size() >= sizeof word) {
    std::memcpy(&word, body.data(), sizeof word);
    body.remove_prefix(sizeof word);
    mix(word);
  }
  word = 0;
  if (!body.empty()) std::memcpy(&word, body.data(), body.size());
  mix(word);
  return (hash ^ hash >> 32) * odd;
}

std::string digest_text(std::uint64_t digest) {
  std::string text(number_digits, '0');
  write_number(text.data(), digest);
  return text;
}

void write_answer(std::string& out, std::size_t bytes, Token token, std::uint64_t digest) {
  std::array<char, token_bytes + number_digits> prefix;
  write_token(prefix.data(), token);
  write_number(prefix.data() + token_bytes, digest);
  out.assign(prefix.data(), std::min(bytes, prefix.size()));
  std::size_t from = digest % filler_bytes;
  while (out.size() < bytes) {
    const std::size_t count = std::min(bytes - out.size(), filler_bytes - from);
    out.append(filler().data() + from, count);
    from = 0;
  }
}

}  // namespace raincheck::bench
