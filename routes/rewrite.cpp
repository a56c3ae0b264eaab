#include "routes/rewrite.hpp"

#include <algorithm>
#include <utility>

#include "routes/authority.hpp"
#include "routes/path.hpp"

namespace raincheck::routes {
namespace {

using Name = Template::Name;
using Outcome = Rendering::Outcome;

// The text with something harmless for each value, to see that what is around them is right.
std::string sample(const Template& text) {
  std::string out;
  for (const auto& piece : text.pieces()) {
    const bool is_path = piece.name == Name::request_path;
    out += piece.name == Name::literal ? piece.text : is_path ? "/x" : "x";
  }
  return out;
}

std::string check_path(const Template& path) {
  std::string buffer;
  std::string_view why;
  const std::string text = sample(path);
  const auto target = normalize(text, buffer, why);
  if (!target) return std::string(why);
  if (target->text != text) return "is not in normal form: '" + std::string(target->text) + "'";
  return "";
}

// The literal text of a path and its parameters, segment by segment; nothing if a segment is made
// of more than one.
std::optional<std::vector<Segment>> segments_of(const std::vector<Template::Piece>& pieces) {
  std::vector<Segment> segments;
  for (const auto& piece : pieces) {
    const bool opens =
        !segments.empty() && !segments.back().is_parameter && segments.back().text.empty();
    if (piece.name == Name::path && opens) {
      segments.back() = {true, piece.subject};
    } else if (piece.name == Name::literal && piece.text.front() == '/') {
      for (SegmentReader reader(piece.text); !reader.is_done();) {
        segments.push_back({false, std::string(reader.next())});
      }
    } else {
      return std::nullopt;
    }
  }
  return segments;
}

std::string_view without_query(std::string_view text) {
  return text.substr(0, text.find('?'));
}

}  // namespace

Rewrite Rewrite::compile(const config::Rewrite& rewrite,
                         const PathPattern& pattern,
                         std::vector<RuleProblem>& problems) {
  Rewrite out;
  const Scope scope{&pattern, false};
  if (rewrite.path) {
    std::string why;
    out.path_ = Template::compile(*rewrite.path, scope, why);
    if (why.empty()) why = check_path(*out.path_);
    if (!why.empty()) problems.push_back({rewrite.path->place, "rewrite.path", why});
    out.has_query_ = sample(*out.path_).find('?') != std::string::npos;
    out.reverse_ = reverse_of(*out.path_, pattern);
  }
  if (rewrite.host) {
    std::string why;
    out.host_ = Template::compile(*rewrite.host, scope, why);
    const std::string text = sample(*out.host_);
    if (why.empty() && parse_authority(text) != text) why = "must be host or host:port";
    if (!why.empty()) problems.push_back({rewrite.host->place, "rewrite.host", why});
  }
  return out;
}

bool Rewrite::make_target(const Values& values, std::string& target, std::string& why) const {
  target.clear();
  if (!path_) {
    target = values.target.text;
    return true;
  }
  const Rendering rendering = path_->render(values, Form::url, target);
  if (!rendering) {
    why = rendering.why();
    return false;
  }
  if (!has_query_ && values.target.has_query) target.append("?").append(values.target.query);
  std::string buffer;
  std::string_view reason;
  const auto normal = normalize(target, buffer, reason);
  if (!normal || normal->text != target) {
    why = "the rewritten path is not in normal form";
    if (!reason.empty()) why += ": " + std::string(reason);
    return false;
  }
  return true;
}

bool Rewrite::make_host(const Values& values, std::string& host, std::string& why) const {
  if (!host_) return true;
  std::string text;
  const Rendering rendering = host_->render(values, Form::field, text);
  if (!rendering) {
    why = rendering.why();
    return false;
  }
  const auto authority = parse_authority(text);
  if (!authority) {
    why = "the rewritten host is not one";
    return false;
  }
  host = *authority;
  return true;
}

std::optional<Rewrite::Reverse> Rewrite::reverse_of(const Template& path,
                                                    const PathPattern& pattern) {
  std::vector<Template::Piece> pieces;
  for (const auto& piece : path.pieces()) {
    pieces.push_back(piece);
    const std::size_t query = piece.name == Name::literal ? piece.text.find('?') : piece.text.npos;
    if (query == piece.text.npos) continue;
    pieces.back().text.resize(query);
    if (query == 0) pieces.pop_back();
    break;
  }
  if (pieces.empty()) return std::nullopt;
  Reverse out;
  const auto last = pieces.back();
  out.is_whole = last.name == Name::request_path;
  const bool is_prefix = pattern.kind() == PathPattern::Kind::prefix;
  const bool ends_with_rest =
      is_prefix && last.name == Name::path && last.subject == pattern.rest_name();
  if (out.is_whole || ends_with_rest) pieces.pop_back();
  auto segments = segments_of(pieces);
  if (!segments) return std::nullopt;
  if (ends_with_rest) {
    const bool opens =
        !segments->empty() && !segments->back().is_parameter && segments->back().text.empty();
    if (!opens) return std::nullopt;
    segments->pop_back();  // what stood between the last slash and the rest
  }
  out.segments = std::move(*segments);
  return out;
}

std::optional<std::string> Rewrite::reverse_request(const Values& values,
                                                    std::string_view path) const {
  std::string target;
  std::string why;
  if (!make_target(values, target, why)) return std::nullopt;
  const std::string_view own = without_query(target);
  if (!path.starts_with(own)) return std::nullopt;
  const std::string_view below = path.substr(own.size());
  if (!below.empty() && below.front() != '/' && own.back() != '/') return std::nullopt;
  return std::string(values.target.path) + std::string(below);
}

std::optional<std::string> Rewrite::reverse(const Values& values, std::string_view path) const {
  if (!path_) return std::string(path);
  if (!reverse_ || values.pattern == nullptr) return reverse_request(values, path);
  SegmentReader reader(path);
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const Segment& segment : reverse_->segments) {
    if (reader.is_done()) return std::nullopt;
    const std::string_view text = reader.next();
    if (segment.is_parameter ? text.empty() : text != segment.text) return std::nullopt;
    if (segment.is_parameter) found.emplace_back(segment.text, text);
  }
  if (reverse_->is_whole) return std::string(reader.is_done() ? "/" : reader.rest());
  std::string out;
  for (const Segment& segment : values.pattern->segments()) {
    std::string_view text = segment.text;
    if (segment.is_parameter) {
      const auto same = std::find_if(found.begin(), found.end(),
                                     [&](const auto& pair) { return pair.first == segment.text; });
      const auto own = values.pattern->parameter(segment.text, values.target.path);
      text = same != found.end() ? same->second : own.value_or("");
    }
    out.append("/").append(text);
  }
  out.append(reader.rest());
  return out.empty() ? "/" : out;
}

}  // namespace raincheck::routes
