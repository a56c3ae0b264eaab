#include "bench/message.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace raincheck::bench {
namespace {

constexpr std::size_t initial_bytes = 4096;
constexpr std::size_t head_bytes_max = 64 * 1024;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool is_name(std::string_view name, std::string_view lower_case) {
  return std::equal(name.begin(), name.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

template <class Number>
bool to_number(std::string_view text, Number& value, int base = 10) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, base);
  return error == std::errc() && stopped == end;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

MessageReader::MessageReader(Expect expect)
    : expect_(expect), buffer_(new char[initial_bytes]), capacity_(initial_bytes) {}

void MessageReader::clear() {
  begin_ = end_ = body_begin_ = message_end_ = 0;
}

std::span<char> MessageReader::space() {
  if (end_ == capacity_) {
    const std::size_t held = end_ - begin_;
    if (held >= message_bytes_max) return {};
    // Moving the bytes leaves the views of a parsed head behind, so the head is parsed again.
    const std::size_t wanted = held < capacity_ / 2 ? capacity_ : capacity_ * 2;
    if (wanted != capacity_) {
      std::unique_ptr<char[]> larger(new char[wanted]);
      std::memcpy(larger.get(), buffer_.get() + begin_, held);
      buffer_ = std::move(larger);
      capacity_ = wanted;
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, held);
    }
    if (body_begin_ != 0) {
      body_begin_ -= begin_;
      body_end_ -= begin_;
      chunk_next_ -= begin_;
      begin_ = 0;
      end_ = held;
      parse_head({buffer_.get(), body_begin_});
    }
    begin_ = 0;
    end_ = held;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

MessageReader::Progress MessageReader::next() {
  while (true) {
    if (body_begin_ == 0) {
      const Progress progress = find_head();
      if (progress != Progress::complete) return progress;
    }
    const bool is_interim = expect_ == Expect::response && message_.status < 200;
    const bool has_no_body = expect_ == Expect::response &&
                             (is_interim || message_.status == 204 || message_.status == 304);
    if (has_no_body) {
      body_end_ = message_end_ = body_begin_;
    } else if (is_chunked_) {
      const Progress progress = decode_chunks();
      if (progress != Progress::complete) return progress;
    } else if (has_length_ || expect_ == Expect::request) {
      if (end_ - body_begin_ < content_length_) return Progress::incomplete;
      body_end_ = message_end_ = body_begin_ + content_length_;
    } else {
      return Progress::malformed;
    }
    message_.body = {buffer_.get() + body_begin_, body_end_ - body_begin_};
    if (!is_interim) return Progress::complete;
    consume();
  }
}

void MessageReader::consume() {
  begin_ = message_end_;
  body_begin_ = 0;
  if (begin_ == end_) begin_ = end_ = 0;
}

MessageReader::Progress MessageReader::find_head() {
  const std::string_view held(buffer_.get() + begin_, end_ - begin_);
  const std::size_t blank = held.find("\r\n\r\n");
  if (blank == std::string_view::npos) {
    return held.size() > head_bytes_max ? Progress::malformed : Progress::incomplete;
  }
  if (!parse_head(held.substr(0, blank + 4))) return Progress::malformed;
  if (has_length_ && is_chunked_) return Progress::malformed;
  body_begin_ = body_end_ = chunk_next_ = begin_ + blank + 4;
  return Progress::complete;
}

bool MessageReader::parse_head(std::string_view head) {
  message_ = {};
  content_length_ = 0;
  has_length_ = is_chunked_ = false;
  std::size_t line_end = head.find("\r\n");
  const std::string_view start_line = head.substr(0, line_end);
  const bool is_good =
      expect_ == Expect::request ? parse_request_line(start_line) : parse_status_line(start_line);
  if (!is_good) return false;
  while (true) {
    head.remove_prefix(line_end + 2);
    line_end = head.find("\r\n");
    if (line_end == 0) return true;
    if (!parse_header(head.substr(0, line_end))) return false;
  }
}

bool MessageReader::parse_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == last || first == 0 || !line.substr(last + 1).starts_with("HTTP/1.")) return false;
  message_.method = line.substr(0, first);
  message_.target = line.substr(first + 1, last - first - 1);
  message_.keep_alive = line.ends_with('1');
  return true;
}

bool MessageReader::parse_status_line(std::string_view line) {
  if (!line.starts_with("HTTP/1.1 ") || line.size() < 12) return false;
  return to_number(line.substr(9, 3), message_.status) && message_.status >= 100 &&
         message_.status < 600;
}

bool MessageReader::parse_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (is_name(name, "content-length")) {
    if (has_length_) return false;
    has_length_ = true;
    return to_number(value, content_length_) && content_length_ <= message_bytes_max;
  }
  if (is_name(name, "transfer-encoding")) {
    is_chunked_ = true;
    return is_name(value, "chunked");
  }
  if (is_name(name, "connection")) {
    if (is_name(value, "close")) message_.keep_alive = false;
  } else if (is_name(name, "location")) {
    message_.location = value;
  } else if (is_name(name, "x-request-digest")) {
    message_.request_digest = value;
  } else if (is_name(name, "retry-after")) {
    std::uint32_t seconds = 0;
    if (!to_number(value, seconds)) return false;
    message_.retry_after = seconds;
  }
  return true;
}

MessageReader::Progress MessageReader::decode_chunks() {
  while (true) {
    const std::string_view rest(buffer_.get() + chunk_next_, end_ - chunk_next_);
    const std::size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos) {
      return rest.size() > head_bytes_max ? Progress::malformed : Progress::incomplete;
    }
    std::size_t size = 0;
    const std::string_view line = rest.substr(0, line_end);
    if (!to_number(trimmed(line.substr(0, line.find(';'))), size, 16)) return Progress::malformed;
    if (size > message_bytes_max) return Progress::malformed;
    if (size == 0) {
      // Trailers are passed over: the message ends with the first empty line.
      const std::size_t blank = rest.find("\r\n\r\n", line_end);
      if (blank == std::string_view::npos) return Progress::incomplete;
      message_end_ = chunk_next_ + blank + 4;
      return Progress::complete;
    }
    const std::size_t data = line_end + 2;
    if (rest.size() < data + size + 2) return Progress::incomplete;
    if (rest.substr(data + size, 2) != "\r\n") return Progress::malformed;
    std::memmove(buffer_.get() + body_end_, rest.data() + data, size);
    body_end_ += size;
    chunk_next_ += data + size + 2;
  }
}

}  // namespace raincheck::bench
