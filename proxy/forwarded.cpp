#include "proxy/forwarded.hpp"

#include <algorithm>

#include "proxy/characters.hpp"

namespace raincheck::proxy {

namespace {

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

bool take_token(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_character(text[size], characters::token)) ++size;
  text.remove_prefix(size);
  return size != 0;
}

// RFC 9110 section 5.6.4; `text` begins with the quote.
bool take_quoted(std::string_view& text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

bool take_pair(std::string_view& text) {
  if (!take_token(text) || !text.starts_with('=')) return false;
  text.remove_prefix(1);
  return text.starts_with('"') ? take_quoted(text) : take_token(text);
}

void add_pair(routes::FieldLine& line, std::string_view name, std::string_view value) {
  line.add(name);
  line.add("=");
  if (is_token(value)) return line.add(value);
  line.add("\"");
  line.add(value);
  line.add("\"");
}

bool is_chain(const RequestHead& head) {
  bool is_good = true;
  head.fields.for_each("Forwarded", [&is_good](std::string_view value) {
    is_good = is_good && is_forwarded(value);
  });
  return is_good;
}

}  // namespace

bool is_forwarded(std::string_view value) {
  // Elements and pairs may be empty, so both separators are alike here.
  while (true) {
    skip_blanks(value);
    if (value.empty()) return true;
    if (value.front() != ',' && value.front() != ';' && !take_pair(value)) return false;
    skip_blanks(value);
    if (value.empty()) return true;
    if (value.front() != ',' && value.front() != ';') return false;
    value.remove_prefix(1);
  }
}

void append_forwarded(std::string& out, const RequestHead& head, const Identity& identity) {
  routes::FieldLine line(out, "Forwarded");
  if (identity.peer_trusted && is_chain(head)) {
    head.fields.for_each("Forwarded", [&line](std::string_view value) {
      if (!value.empty()) line.add_element(value);
    });
  }
  line.add_element("");
  const std::string_view address = identity.client_address;
  if (address == "unix") {
    line.add("for=unknown");  // section 6.2
  } else if (address.find(':') != std::string_view::npos) {
    line.add("for=\"[");
    line.add(address);
    line.add("]\"");
  } else {
    add_pair(line, "for", address);
  }
  if (!identity.host.empty()) {
    line.add(";");
    add_pair(line, "host", identity.host);
  }
  line.add(";");
  add_pair(line, "proto", identity.scheme);
  line.finish();
}

}  // namespace raincheck::proxy
