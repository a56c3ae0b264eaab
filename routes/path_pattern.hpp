// The paths that a route speaks of: "/exact", "/prefix/*", "/with/{segment}", "/with/{rest...}".
// Pure values, made when a configuration is loaded. A prefix is one of whole segments: "/prefix/*"
// matches "/prefix", "/prefix/" and "/prefix/a/b", not "/prefixes".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raincheck::routes {

struct Segment {
  bool is_parameter = false;
  std::string text;  // literal, or the parameter's name
};

class PathPattern {
 public:
  // From most to least specific.
  enum class Kind { exact, parameters, prefix };

  // On failure `why` says what is wrong, and the pattern is that of "/".
  static PathPattern parse(std::string_view text, std::string& why);

  Kind kind() const { return kind_; }
  const std::string& text() const { return text_; }
  // Without the rest of a prefix. "/a/" has the segments "a" and "".
  const std::vector<Segment>& segments() const { return segments_; }
  std::size_t literal_length() const { return literal_length_; }

  bool matches(std::string_view path) const;

  // Names and values of the parameters of a path that matches; views into the pattern and the path.
  using Parameters = std::vector<std::pair<std::string_view, std::string_view>>;
  Parameters parameters(std::string_view path) const;
  // The value of one of them, without allocating; the rest of "/a/*" is called "*".
  std::optional<std::string_view> parameter(std::string_view name, std::string_view path) const;
  std::vector<std::string> names() const;

  // Of what follows a prefix: the name in "{name...}", or "*".
  std::string_view rest_name() const { return rest_name_; }

 private:
  Kind kind_ = Kind::exact;
  std::string text_ = "/";
  std::vector<Segment> segments_{Segment{}};
  std::string rest_name_;  // of "{rest...}", or "*"; empty: no prefix
  std::size_t literal_length_ = 1;
};

// Walks over the segments of a path: "/a/b/" has "a", "b" and "".
class SegmentReader {
 public:
  explicit SegmentReader(std::string_view path) : rest_(path) {}

  bool is_done() const { return rest_.empty(); }
  std::string_view next();
  std::string_view rest() const { return rest_; }  // begins with '/', or is empty

 private:
  std::string_view rest_;
};

}  // namespace raincheck::routes
