#include "routes/path_pattern.hpp"

#include <algorithm>

#include "routes/path.hpp"

namespace raincheck::routes {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// A literal part must be as paths are after normalize(), or no request would ever match it.
std::string check_normal(std::string_view pattern) {
  std::string path(pattern);
  for (char& c : path) {
    if (c == '{' || c == '}' || c == '*') c = '_';
  }
  std::string buffer;
  std::string_view reason;
  const auto target = normalize(path, buffer, reason);
  if (!target) return std::string(reason);
  if (target->has_query) return "a match has no query: '?' is not part of a path";
  if (target->path != path) {
    return "never matches as it is written: requests come as '" + std::string(target->path) + "'";
  }
  return "";
}

}  // namespace

std::string_view SegmentReader::next() {
  const std::size_t end = std::min(rest_.find('/', 1), rest_.size());
  const std::string_view segment = rest_.substr(1, end - 1);
  rest_.remove_prefix(end);
  return segment;
}

PathPattern PathPattern::parse(std::string_view text, std::string& why) {
  PathPattern pattern;
  pattern.segments_.clear();
  const auto refuse = [&](std::string reason) {
    why = std::move(reason);
    return PathPattern();
  };
  if (text.empty() || text.front() != '/') return refuse("must begin with '/'");
  if (std::string reason = check_normal(text); !reason.empty()) return refuse(std::move(reason));
  pattern.text_ = text;
  pattern.literal_length_ = 0;
  std::vector<std::string> names;
  for (SegmentReader reader(text); !reader.is_done();) {
    const std::string_view segment = reader.next();
    const bool is_last = reader.is_done();
    if (segment == "*") {
      if (!is_last) return refuse("'*' stands at the end, for all that follows; use {name} here");
      pattern.kind_ = Kind::prefix;
      pattern.rest_name_ = segment;
      break;
    }
    if (segment.find_first_of("*{}") == segment.npos) {
      pattern.segments_.push_back({false, std::string(segment)});
      pattern.literal_length_ += 1 + segment.size();
      continue;
    }
    const bool is_braced = segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
    std::string_view name = is_braced ? segment.substr(1, segment.size() - 2) : std::string_view();
    const bool is_rest = name.size() > 3 && name.substr(name.size() - 3) == "...";
    if (is_rest) name.remove_suffix(3);
    if (!is_name(name)) {
      return refuse("'" + std::string(segment) +
                    "' must be a whole segment: a literal, {name}, or {name...} or * at the end");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return refuse("'{" + std::string(name) + "}' is here twice");
    }
    names.emplace_back(name);
    if (is_rest && !is_last) return refuse("'{name...}' stands at the end, for all that follows");
    if (is_rest) {
      pattern.kind_ = Kind::prefix;
      pattern.rest_name_ = name;
    } else {
      pattern.segments_.push_back({true, std::string(name)});
      if (pattern.kind_ == Kind::exact) pattern.kind_ = Kind::parameters;
    }
  }
  return pattern;
}

bool PathPattern::matches(std::string_view path) const {
  SegmentReader reader(path);
  for (const Segment& segment : segments_) {
    if (reader.is_done()) return false;
    const std::string_view text = reader.next();
    if (segment.is_parameter ? text.empty() : text != segment.text) return false;
  }
  return reader.is_done() || kind_ == Kind::prefix;
}

PathPattern::Parameters PathPattern::parameters(std::string_view path) const {
  Parameters out;
  SegmentReader reader(path);
  for (const Segment& segment : segments_) {
    const std::string_view text = reader.is_done() ? std::string_view() : reader.next();
    if (segment.is_parameter) out.emplace_back(segment.text, text);
  }
  if (kind_ == Kind::prefix && rest_name_ != "*") {
    const std::string_view rest = reader.rest();
    out.emplace_back(rest_name_, rest.empty() ? rest : rest.substr(1));
  }
  return out;
}

std::optional<std::string_view> PathPattern::parameter(std::string_view name,
                                                       std::string_view path) const {
  SegmentReader reader(path);
  for (const Segment& segment : segments_) {
    if (reader.is_done()) return std::nullopt;
    const std::string_view text = reader.next();
    if (segment.is_parameter && segment.text == name) return text;
  }
  if (kind_ != Kind::prefix || name != rest_name()) return std::nullopt;
  return reader.rest().substr(reader.is_done() ? 0 : 1);
}

std::vector<std::string> PathPattern::names() const {
  std::vector<std::string> all;
  for (const Segment& segment : segments_) {
    if (segment.is_parameter) all.push_back(segment.text);
  }
  if (kind_ == Kind::prefix) all.emplace_back(rest_name());
  return all;
}

}  // namespace raincheck::routes
