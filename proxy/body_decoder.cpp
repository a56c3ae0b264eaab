#include "proxy/body_decoder.hpp"

#include <algorithm>

#include "proxy/characters.hpp"

namespace raincheck::proxy {

namespace {

constexpr std::uint8_t size_digits_max = 16;  // of 64 bits

}  // namespace

void BodyDecoder::start(Framing framing, std::uint64_t length, Extensions extensions) {
  framing_ = framing;
  extensions_ = extensions;
  digits_ = 0;
  spent_ = 0;
  left_ = 0;
  switch (framing) {
    case Framing::none:
      state_ = State::done;
      return;
    case Framing::length:
      left_ = length;
      state_ = length == 0 ? State::done : State::counted;
      return;
    case Framing::chunked:
      state_ = State::size;
      return;
    case Framing::until_close:
      state_ = State::until_close;
      return;
  }
}

BodyDecoder::Step BodyDecoder::next(std::string_view raw) {
  Step out;
  while (out.consumed < raw.size() && state_ != State::done && state_ != State::bad) {
    if (state_ != State::data && state_ != State::counted && state_ != State::until_close) {
      state_ = framing_byte(raw[out.consumed++]);
      continue;
    }
    // What follows a piece is read as far as the next one, which is for the next call.
    if (!out.payload.empty()) break;
    out.payload = raw.substr(out.consumed);
    if (state_ != State::until_close) {
      out.payload = out.payload.substr(0, left_);
      left_ -= out.payload.size();
      if (left_ == 0) state_ = state_ == State::data ? State::data_cr : State::done;
    }
    out.consumed += out.payload.size();
  }
  out.done = state_ == State::done;
  out.bad = state_ == State::bad;
  if (out.bad) out.payload = {};
  return out;
}

// What comes after `c`, a byte of the framing.
BodyDecoder::State BodyDecoder::framing_byte(char c) {
  const auto expect = [c](char wanted, State then) { return c == wanted ? then : State::bad; };
  switch (state_) {
    case State::size:
    case State::size_space:
    case State::extension:
      return size_byte(c);
    case State::size_lf:
      spent_ = 0;
      return expect('\n', left_ == 0 ? State::trailer_start : State::data);
    case State::data_cr:
      return expect('\r', State::data_lf);
    case State::data_lf:
      digits_ = 0;
      return expect('\n', State::size);
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
      return trailer_byte(c);
    case State::last_lf:
      return expect('\n', State::done);
    case State::counted:
    case State::until_close:
    case State::data:
    case State::done:
    case State::bad:
      break;
  }
  return State::bad;
}

BodyDecoder::State BodyDecoder::size_byte(char c) {
  if (state_ == State::size) {
    const int digit = hex_digit(c);
    if (digit >= 0) {
      if (++digits_ > size_digits_max) return State::bad;
      left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
      return State::size;
    }
    if (digits_ == 0) return State::bad;
  }
  if (c == '\r') return state_ == State::size_space ? State::bad : State::size_lf;
  if (extensions_ == Extensions::refused || ++spent_ > extension_bytes_max) return State::bad;
  if (state_ == State::extension) {
    return is_character(c, characters::value) ? State::extension : State::bad;
  }
  if (is_blank(c)) return State::size_space;
  return c == ';' ? State::extension : State::bad;
}

BodyDecoder::State BodyDecoder::trailer_byte(char c) {
  if (++spent_ > trailer_bytes_max) return State::bad;
  if (state_ == State::trailer_lf) return c == '\n' ? State::trailer_start : State::bad;
  if (state_ == State::trailer_value) {
    if (c == '\r') return State::trailer_lf;
    return is_character(c, characters::value) ? State::trailer_value : State::bad;
  }
  if (state_ == State::trailer_start && c == '\r') return State::last_lf;
  if (state_ == State::trailer_name && c == ':') return State::trailer_value;
  return is_character(c, characters::token) ? State::trailer_name : State::bad;
}

bool BodyDecoder::end_of_input() {
  if (state_ == State::until_close) state_ = State::done;
  return done();
}

std::optional<std::uint64_t> BodyDecoder::remaining() const {
  if (framing_ != Framing::length) return std::nullopt;
  return left_;
}

}  // namespace raincheck::proxy
