#include "proxy/request_parser.hpp"

#include <algorithm>

#include "proxy/characters.hpp"
#include "proxy/fields.hpp"

namespace raincheck::proxy {

namespace {

bool starts_with_scheme(std::string_view target, std::string_view scheme) {
  return target.size() >= scheme.size() && is_same_name(target.substr(0, scheme.size()), scheme);
}

bool is_path_and_query(std::string_view target) {
  std::uint8_t part = characters::path;
  for (const char c : target) {
    if (c == '?') part = characters::query;
    if (!is_character(c, part)) return false;
  }
  return true;
}

// One protocol, with or without a version. HTTP/2 in clear text would tunnel requests past the
// gate.
bool is_tunnel_protocol(std::string_view upgrade) {
  const std::size_t slash = upgrade.find('/');
  const std::string_view name = upgrade.substr(0, slash);
  if (!is_token(name) || is_same_name(name, "h2c")) return false;
  return slash == std::string_view::npos || is_token(upgrade.substr(slash + 1));
}

// `codings` ends with chunked and has nothing but other, well-formed codings before it: the body
// could be delimited, but not understood.
bool is_framed_but_unknown(std::string_view codings) {
  bool is_last_chunked = false;
  std::size_t count = 0;
  while (!codings.empty()) {
    const std::string_view coding = take_element(codings);
    if (is_last_chunked || !is_token(coding)) return false;
    is_last_chunked = is_same_name(coding, "chunked");
    ++count;
  }
  return is_last_chunked && count > 1;
}

}  // namespace

void RequestParser::reset() {
  Fields fields = std::move(head_.fields);
  fields.clear();
  head_ = RequestHead();
  head_.fields = std::move(fields);
  lines_.reset();
  line_size_ = 0;
}

Parse RequestParser::reject(int status, const char* reason, const char* detail) {
  rejection_.status = status;
  rejection_.reason = reason;
  rejection_.detail = detail;
  return Parse::rejected;
}

Parse RequestParser::parse(std::string_view buffered, const RequestLimits& limits) {
  // One empty line in front is read over (RFC 9112 section 2.2).
  if (buffered.starts_with('\r')) {
    if (buffered.size() == 1) return Parse::more;
    if (buffered[1] != '\n') return bad("The request begins with a carriage return.");
    line_begin_ = 2;
  } else {
    line_begin_ = 0;
  }
  if (buffered.size() == line_begin_) return Parse::more;
  if (!is_character(buffered[line_begin_], characters::token)) {
    return bad("The request does not begin with a method.");
  }
  const HeadLines::Limits line_limits{limits.request_line, limits.headers, limits.header_count};
  HeadLines::Found found = lines_.find(buffered, line_begin_, line_limits);
  if (found == HeadLines::Found::first_line) {
    line_size_ = lines_.fields_begin() - line_begin_ - 2;
    const Parse line = parse_line(buffered.substr(line_begin_, line_size_));
    if (line == Parse::rejected) return line;
    found = lines_.find(buffered, line_begin_, line_limits);
  } else if (lines_.fields_begin() != 0 && found != HeadLines::Found::more) {
    // It was parsed in an earlier call, in a buffer that may have been another.
    parse_line(buffered.substr(line_begin_, line_size_));
  }
  switch (found) {
    case HeadLines::Found::first_line:
    case HeadLines::Found::more:
      head_.method = head_.target = head_.authority = {};
      return Parse::more;
    case HeadLines::Found::bad_line_end:
      return bad("A line does not end with CRLF.");
    case HeadLines::Found::first_line_too_long:
      return reject(414, "uri_too_long", "The request line is too long.");
    case HeadLines::Found::too_large:
      return reject(431, "headers_too_large", "The header is too large.");
    case HeadLines::Found::too_many:
      return reject(431, "headers_too_large", "The header has too many fields.");
    case HeadLines::Found::end:
      break;
  }
  const std::size_t begin = lines_.fields_begin();
  return parse_fields(buffered.substr(begin, head_size() - begin - 2));
}

Parse RequestParser::parse_line(std::string_view line) {
  const std::size_t method_end = line.find(' ');
  const std::string_view method = line.substr(0, method_end);
  if (!is_token(method)) return bad("The method has a character that is not allowed.");
  if (method_end == std::string_view::npos) return bad("The request line has no target.");
  head_.method = method;
  line.remove_prefix(method_end + 1);
  const std::size_t target_end = line.find(' ');
  if (target_end == std::string_view::npos) return bad("The request line has no version.");
  const std::string_view version = line.substr(target_end + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return bad("The request line is not a method, a target and a version, one space between them.");
  }
  if (version[5] != '1' || version[7] > '1') {
    return reject(505, "version_not_supported", "The versions spoken here are HTTP/1.1 and 1.0.");
  }
  head_.minor_version = version[7] - '0';
  if (method == "CONNECT" || method == "TRACE") {
    return reject(405, "method_not_allowed", "CONNECT and TRACE are not served.");
  }
  head_.target = line.substr(0, target_end);
  return parse_target();
}

Parse RequestParser::parse_target() {
  const std::string_view target = head_.target;
  if (target == "*") {
    return head_.method == "OPTIONS" ? Parse::done : bad("The target * is for OPTIONS only.");
  }
  if (!target.starts_with('/')) return parse_absolute_form();
  if (!is_path_and_query(target)) return bad("The target has a character that is not allowed.");
  return Parse::done;
}

Parse RequestParser::parse_absolute_form() {
  std::string_view rest = head_.target;
  if (starts_with_scheme(rest, "http://")) {
    rest.remove_prefix(7);
  } else if (starts_with_scheme(rest, "https://")) {
    rest.remove_prefix(8);
  } else {
    return bad("The target is neither a path nor an http or https URI.");
  }
  const std::size_t authority_size = std::min(rest.find_first_of("/?"), rest.size());
  const auto authority = parse_authority(rest.substr(0, authority_size));
  if (!authority) return bad("The target's authority is not a host with or without a port.");
  rest.remove_prefix(authority_size);
  if (!is_path_and_query(rest)) return bad("The target has a character that is not allowed.");
  head_.authority = *authority;
  if (rest.empty()) {
    head_.target = head_.method == "OPTIONS" ? "*" : "/";  // RFC 9112 section 3.2.4
  } else if (rest.starts_with('?')) {
    rebuilt_target_.assign("/").append(rest);
    head_.target = rebuilt_target_;
  } else {
    head_.target = rest;
  }
  return Parse::done;
}

Parse RequestParser::parse_fields(std::string_view block) {
  HeadFacts facts;
  const char* const wrong =
      parse_field_lines(block, SpaceBeforeColon::refused, head_.fields, facts);
  if (wrong) return bad(wrong);
  if (facts.has_bad_option) return bad("Connection is not a list of field names.");
  return interpret(facts);
}

Parse RequestParser::interpret(const HeadFacts& facts) {
  if (facts.hosts > 1) return bad("There is more than one Host.");
  if (facts.hosts == 0 && head_.minor_version != 0) return bad("There is no Host.");
  if (facts.hosts == 1) {
    const auto authority = parse_authority(facts.host);
    if (!authority) return bad("Host is not a host with or without a port.");
    // The target's own authority counts, whatever Host says (RFC 9112 section 3.2.2).
    if (head_.authority.empty()) head_.authority = *authority;
  }
  // Rules and checks go by it, and the backend might go by another one (RFC 9110 section 5.3).
  if (facts.content_types > 1) return bad("There is more than one Content-Type.");
  const Parse framed = frame(facts);
  if (framed == Parse::rejected) return framed;
  if (facts.expects > 1 || (facts.expects == 1 && !is_same_name(facts.expect, "100-continue"))) {
    return reject(417, "expectation_failed", "The only expectation that is met is 100-continue.");
  }
  const bool has_body = head_.framing == Framing::chunked || head_.content_length != 0;
  const bool is_old = head_.minor_version == 0;
  head_.expect_continue = facts.expects == 1 && has_body && !is_old;
  head_.keep_alive = !facts.close && (!is_old || facts.keep_alive);
  if (facts.upgrades == 1 && facts.upgrade_named && head_.method == "GET" && !is_old && !has_body &&
      is_tunnel_protocol(facts.upgrade)) {
    head_.upgrade = facts.upgrade;
  }
  return Parse::done;
}

// RFC 9112 section 6.3, without anything that servers are known to read differently.
Parse RequestParser::frame(const HeadFacts& facts) {
  if (facts.transfer_encodings != 0) {
    if (facts.content_lengths != 0) {
      return bad("There are both a Transfer-Encoding and a Content-Length.");
    }
    if (head_.minor_version == 0) return bad("HTTP/1.0 has no Transfer-Encoding.");
    if (facts.transfer_encodings > 1) return bad("There is more than one Transfer-Encoding.");
    if (!is_same_name(facts.transfer_encoding, "chunked")) {
      if (is_framed_but_unknown(facts.transfer_encoding)) {
        return reject(501, "not_implemented", "The only transfer coding understood is chunked.");
      }
      return bad("The last transfer coding is not chunked, or there is more than one chunked.");
    }
    head_.framing = Framing::chunked;
    return Parse::done;
  }
  if (facts.content_lengths > 1) return bad("There is more than one Content-Length.");
  if (facts.content_lengths == 1) {
    if (!parse_content_length(facts.content_length, head_.content_length)) {
      return bad("Content-Length is not a number, or too large.");
    }
    head_.framing = Framing::length;
  }
  return Parse::done;
}

}  // namespace raincheck::proxy
