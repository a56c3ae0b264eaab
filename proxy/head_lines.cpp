#include "proxy/head_lines.hpp"

#include <limits>

#include "proxy/characters.hpp"
#include "proxy/fields.hpp"

namespace raincheck::proxy {

HeadLines::Found HeadLines::find(std::string_view buffered,
                                 std::size_t begin,
                                 const Limits& limits) {
  if (line_ < begin) line_ = scanned_ = begin;
  while (true) {
    const bool is_first = fields_ == 0;
    const std::uint64_t room = is_first ? limits.first_line : limits.fields - (line_ - fields_);
    const Found too_long = is_first ? Found::first_line_too_long : Found::too_large;
    const std::size_t feed = buffered.find('\n', scanned_);
    if (feed == std::string_view::npos) {
      scanned_ = buffered.size();
      // At least one byte is missing, so a line that fills its room is over it already.
      return buffered.size() - line_ >= room ? too_long : Found::more;
    }
    const std::size_t size = feed + 1 - line_;
    if (size > room) return too_long;
    if (size < 2 || buffered[feed - 1] != '\r') return Found::bad_line_end;
    line_ = scanned_ = feed + 1;
    if (is_first) {
      fields_ = line_;
      return Found::first_line;
    }
    if (size == 2) return Found::end;
    if (++count_ > limits.count) return Found::too_many;
  }
}

namespace {

void note_connection(std::string_view options, HeadFacts& facts) {
  while (!options.empty()) {
    const std::string_view option = take_element(options);
    if (option.empty()) continue;
    ++facts.connection_options;
    if (!is_token(option)) facts.has_bad_option = true;
    if (is_same_name(option, "close")) facts.close = true;
    if (is_same_name(option, "keep-alive")) facts.keep_alive = true;
    if (is_same_name(option, "upgrade")) facts.upgrade_named = true;
  }
}

void note(const Field& field, HeadFacts& facts) {
  const auto keep = [&field](std::string_view name, std::uint32_t& count, std::string_view& value) {
    if (!is_same_name(field.name, name)) return;
    ++count;
    value = field.value;
  };
  switch (field.name.size()) {
    case 4:
      return keep("Host", facts.hosts, facts.host);
    case 6:
      return keep("Expect", facts.expects, facts.expect);
    case 7:
      return keep("Upgrade", facts.upgrades, facts.upgrade);
    case 10:
      if (is_same_name(field.name, "Connection")) note_connection(field.value, facts);
      return;
    case 12:
      if (is_same_name(field.name, "Content-Type")) ++facts.content_types;
      return;
    case 14:
      return keep("Content-Length", facts.content_lengths, facts.content_length);
    case 17:
      return keep("Transfer-Encoding", facts.transfer_encodings, facts.transfer_encoding);
    default:
      return;
  }
}

// Why there is no colon where a name ended.
const char* misplaced(char c, bool has_name) {
  if (has_name && is_blank(c)) return "There is whitespace before the colon of a field.";
  if (is_blank(c)) return "A field line is folded.";
  if (c == ':') return "A field has no name.";
  if (c == '\r') return "A field line has no colon.";
  return "The name of a field has a character that is not allowed.";
}

}  // namespace

const char* parse_field_lines(std::string_view block,
                              SpaceBeforeColon space,
                              Fields& fields,
                              HeadFacts& facts) {
  // Every line ends with CRLF, and neither byte may stand in a name or a value: no loop leaves the
  // block.
  const char* at = block.data();
  const char* const end = at + block.size();
  while (at != end) {
    const char* const name = at;
    while (is_character(*at, characters::token)) ++at;
    const auto name_size = static_cast<std::size_t>(at - name);
    if (space == SpaceBeforeColon::removed && name_size != 0) {
      while (is_blank(*at)) ++at;
    }
    if (*at != ':' || name_size == 0) return misplaced(*at, name_size != 0);
    ++at;
    while (is_blank(*at)) ++at;
    const char* const value = at;
    at += field_value_prefix({at, static_cast<std::size_t>(end - at)});
    if (at[0] != '\r' || at[1] != '\n') {
      return "The value of a field has a control character.";
    }
    const char* value_end = at;
    while (value_end != value && is_blank(value_end[-1])) --value_end;
    at += 2;
    const Field field{{name, name_size}, {value, static_cast<std::size_t>(value_end - value)}};
    fields.push_back(field);
    note(field, facts);
  }
  return facts.connection_options > connection_options_max ? "Connection has too many options."
                                                           : nullptr;
}

bool parse_content_length(std::string_view text, std::uint64_t& length) {
  if (text.empty()) return false;
  constexpr std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (max - digit) / 10) return false;
    length = length * 10 + digit;
  }
  return true;
}

}  // namespace raincheck::proxy
