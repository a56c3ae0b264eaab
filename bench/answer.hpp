// What a request of the load generator carries and what the synthetic backend says to it. Both
// programs are built from this, so the generator can tell every byte of the right answer to a
// request that it sent, and of no other. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace raincheck::bench {

// Names one request: the run of the load generator, and the number of the request in it.
struct Token {
  std::uint64_t run = 0;
  std::uint64_t sequence = 0;
};

inline constexpr std::size_t token_bytes = 32;

// A request body starts with its token, in hexadecimal. `out` has room for token_bytes.
void write_token(char* out, Token token);
std::optional<Token> read_token(std::string_view body);

// Changes with every byte of the body.
std::uint64_t digest(std::string_view body);
std::string digest_text(std::uint64_t digest);

// The body that answers a request: its token, its digest, then filler that depends on the digest. A
// request without a token is answered as token 0.
void write_answer(std::string& out, std::size_t bytes, Token token, std::uint64_t digest);

}  // namespace raincheck::bench
