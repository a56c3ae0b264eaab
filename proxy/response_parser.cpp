#include "proxy/response_parser.hpp"

#include <algorithm>

#include "proxy/characters.hpp"
#include "proxy/fields.hpp"

namespace raincheck::proxy {

namespace {

constexpr std::string_view version_prefix = "HTTP/1.";

std::optional<std::chrono::seconds> timeout_of(const Fields& fields) {
  constexpr std::string_view name = "timeout=";
  constexpr std::size_t digits_max = 9;
  std::optional<std::chrono::seconds> timeout;
  fields.for_each_element("Keep-Alive", [&](std::string_view element) {
    if (element.size() <= name.size() || !is_same_name(element.substr(0, name.size()), name))
      return;
    std::uint64_t seconds = 0;
    element.remove_prefix(name.size());
    if (element.size() <= digits_max && parse_content_length(element, seconds)) {
      timeout = std::chrono::seconds(seconds);
    }
  });
  return timeout;
}

}  // namespace

void ResponseParser::reset() {
  Fields fields = std::move(head_.fields);
  fields.clear();
  head_ = ResponseHead();
  head_.fields = std::move(fields);
  lines_.reset();
  error_ = "";
}

Parse ResponseParser::reject(const char* error) {
  error_ = error;
  return Parse::rejected;
}

Parse ResponseParser::parse(std::string_view buffered,
                            std::uint64_t headers_max,
                            bool head_request,
                            bool upgrade_requested) {
  const std::size_t known = std::min(buffered.size(), version_prefix.size());
  if (buffered.substr(0, known) != version_prefix.substr(0, known)) {
    return reject("The answer does not begin with HTTP/1.");
  }
  HeadLines::Limits limits{headers_max, headers_max - lines_.fields_begin(), header_count_max};
  HeadLines::Found found = lines_.find(buffered, 0, limits);
  if (found == HeadLines::Found::first_line) {
    const Parse line = parse_line(buffered.substr(0, lines_.fields_begin() - 2));
    if (line == Parse::rejected) return line;
    limits.fields = headers_max - lines_.fields_begin();
    found = lines_.find(buffered, 0, limits);
  } else if (found == HeadLines::Found::end) {
    // It was parsed in an earlier call, in a buffer that may have been another.
    parse_line(buffered.substr(0, lines_.fields_begin() - 2));
  }
  switch (found) {
    case HeadLines::Found::first_line:
    case HeadLines::Found::more:
      head_.reason = {};
      return Parse::more;
    case HeadLines::Found::bad_line_end:
      return reject("A line of the header does not end with CRLF.");
    case HeadLines::Found::first_line_too_long:
    case HeadLines::Found::too_large:
      return reject("The header is too large.");
    case HeadLines::Found::too_many:
      return reject("The header has too many fields.");
    case HeadLines::Found::end:
      break;
  }
  HeadFacts facts;
  const std::size_t begin = lines_.fields_begin();
  const char* const wrong = parse_field_lines(buffered.substr(begin, head_size() - begin - 2),
                                              SpaceBeforeColon::removed, head_.fields, facts);
  if (wrong) return reject(wrong);
  const Parse framed = frame(facts, head_request);
  return framed == Parse::done ? check_upgrade(facts, upgrade_requested) : framed;
}

// The space after the status is left out by many servers whose answer has no reason.
Parse ResponseParser::parse_line(std::string_view line) {
  line.remove_prefix(version_prefix.size());
  if (line.size() < 5 || !is_digit(line[0]) || line[1] != ' ' ||
      !std::all_of(line.begin() + 2, line.begin() + 5, is_digit)) {
    return reject("The status line is malformed.");
  }
  head_.minor_version = line[0] - '0';
  head_.status = (line[2] - '0') * 100 + (line[3] - '0') * 10 + (line[4] - '0');
  if (head_.status < 100 || head_.status > 599) return reject("The status is not one of HTTP.");
  line.remove_prefix(5);
  if (line.empty()) return Parse::done;
  if (line.front() != ' ' || !is_field_value(line)) {
    return reject("The status line is malformed.");
  }
  head_.reason = line.substr(1);
  return Parse::done;
}

Parse ResponseParser::frame(const HeadFacts& facts, bool head_request) {
  const bool is_chunked = facts.transfer_encodings != 0;
  if (is_chunked) {
    if (facts.content_lengths != 0) {
      return reject("There are both a Transfer-Encoding and a Content-Length.");
    }
    if (head_.minor_version == 0) return reject("HTTP/1.0 has no Transfer-Encoding.");
    if (facts.transfer_encodings > 1 || !is_same_name(facts.transfer_encoding, "chunked")) {
      return reject("The transfer coding is not chunked alone.");
    }
  }
  if (facts.content_lengths > 1) return reject("There is more than one Content-Length.");
  std::uint64_t length = 0;
  if (facts.content_lengths == 1 && !parse_content_length(facts.content_length, length)) {
    return reject("Content-Length is not a number, or too large.");
  }
  head_.keep_alive = !facts.close && (head_.minor_version != 0 || facts.keep_alive);
  const bool is_bodiless = head_.status < 200 || head_.status == 204 || head_.status == 304;
  if (head_request || is_bodiless) {
    // A body that must not be there may come all the same, and would be taken for the next answer.
    const bool is_promised = is_chunked || (length != 0 && head_.status != 304);
    if (is_promised && !head_request) head_.keep_alive = false;
  } else if (is_chunked) {
    head_.framing = Framing::chunked;
  } else if (facts.content_lengths == 1) {
    head_.framing = Framing::length;
    head_.content_length = length;
  } else {
    head_.framing = Framing::until_close;
    head_.keep_alive = false;
  }
  if (head_.keep_alive) head_.keep_alive_timeout = timeout_of(head_.fields);
  return Parse::done;
}

Parse ResponseParser::check_upgrade(const HeadFacts& facts, bool upgrade_requested) {
  if (head_.status != 101) return Parse::done;
  if (!upgrade_requested) return reject("The answer is a 101 that nobody asked for.");
  if (facts.upgrades != 1 || !facts.upgrade_named || facts.upgrade.empty()) {
    return reject("The answer is a 101 that does not name its protocol.");
  }
  head_.upgrade = facts.upgrade;
  head_.keep_alive = false;
  return Parse::done;
}

}  // namespace raincheck::proxy
