#include "routes/path.hpp"

#include <algorithm>
#include <array>

namespace raincheck::routes {
namespace {

enum class Byte : unsigned char {
  plain,
  slash,
  percent,
  query,      // '?'
  backslash,  // read as a slash by some servers
  fragment,   // '#' never stands in a request
  invalid,    // outside of visible ASCII
};

constexpr std::array<Byte, 256> make_bytes() {
  std::array<Byte, 256> bytes{};
  for (unsigned c = 0; c < 256; ++c) bytes[c] = c > 0x20 && c < 0x7F ? Byte::plain : Byte::invalid;
  bytes['/'] = Byte::slash;
  bytes['%'] = Byte::percent;
  bytes['?'] = Byte::query;
  bytes['\\'] = Byte::backslash;
  bytes['#'] = Byte::fragment;
  return bytes;
}

constexpr std::array<Byte, 256> bytes = make_bytes();

Byte kind_of(char c) {
  return bytes[static_cast<unsigned char>(c)];
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view no_character = "the target holds a byte that no URL has";

std::string_view reason(Byte byte) {
  switch (byte) {
    case Byte::backslash:
      return "the path holds a backslash";
    case Byte::fragment:
      return "the target holds a '#'";
    case Byte::plain:
    case Byte::slash:
    case Byte::percent:
    case Byte::query:
    case Byte::invalid:
      break;
  }
  return no_character;
}

// Where the path ends, and whether it can stay as it is.
struct Scan {
  std::size_t end = 0;
  bool is_normal = true;
  std::string_view why;  // set when the path is refused
};

Scan scan_path(std::string_view target) {
  Scan scan;
  for (; scan.end < target.size(); ++scan.end) {
    const Byte byte = kind_of(target[scan.end]);
    if (byte == Byte::plain) continue;
    if (byte == Byte::query) break;
    if (byte == Byte::percent) {
      scan.is_normal = false;
    } else if (byte == Byte::slash) {
      // The only neighbours that can change anything: "//" and a segment that begins with a dot.
      const char next = scan.end + 1 < target.size() ? target[scan.end + 1] : '\0';
      if (next == '/' || next == '.') scan.is_normal = false;
    } else {
      scan.why = reason(byte);
      break;
    }
  }
  return scan;
}

// Copies the path with unreserved characters decoded and escapes in capitals.
bool decode(std::string_view path, std::string& out, std::string_view& why) {
  constexpr std::string_view capitals = "0123456789ABCDEF";
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    const int high = i + 2 < path.size() ? hex_value(path[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(path[i + 2]) : -1;
    if (low < 0) {
      why = "the path holds a '%' without two hexadecimal digits";
      return false;
    }
    const auto c = static_cast<char>(high * 16 + low);
    if (c == '\0' || c == '/' || c == '\\') {
      why = "the path holds an encoded slash, backslash or NUL";
      return false;
    }
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += capitals[static_cast<std::size_t>(high)];
      out += capitals[static_cast<std::size_t>(low)];
    }
    i += 2;
  }
  return true;
}

// "/a/./b//c/../d" becomes "/a/b/d", in place.
bool remove_dot_segments(std::string& path, std::string_view& why) {
  std::size_t kept = 0;    // path[0, kept) is done; it never ends with '/'
  bool ends_open = false;  // the path ends with '/' or with a dot segment
  for (std::size_t i = 0; i < path.size();) {
    const std::size_t begin = i + 1;
    std::size_t end = path.find('/', begin);
    if (end == path.npos) end = path.size();
    const std::string_view segment(path.data() + begin, end - begin);
    const std::string_view name = segment.substr(0, segment.find(';'));
    const bool is_dots = name == "." || name == "..";
    if (is_dots && name.size() != segment.size()) {
      why = "the path holds a dot segment with parameters";
      return false;
    }
    ends_open = segment.empty() || is_dots;
    if (segment == "..") {
      if (kept == 0) {
        why = "the path leads above the root";
        return false;
      }
      kept = path.rfind('/', kept - 1);
    } else if (!ends_open) {
      path[kept] = '/';
      std::copy(path.data() + begin, path.data() + end, path.data() + kept + 1);
      kept += 1 + segment.size();
    }
    i = end;
  }
  if (ends_open || kept == 0) path[kept++] = '/';
  path.resize(kept);
  return true;
}

}  // namespace

std::optional<Target> normalize(std::string_view target,
                                std::string& buffer,
                                std::string_view& why) {
  if (target.empty() || target.front() != '/') {
    why = "the target does not begin with '/'";
    return std::nullopt;
  }
  const Scan scan = scan_path(target);
  if (!scan.why.empty()) {
    why = scan.why;
    return std::nullopt;
  }
  const std::string_view tail = target.substr(scan.end);  // empty, or '?' and the query
  for (const char c : tail) {
    const Byte byte = kind_of(c);
    if (byte != Byte::invalid && byte != Byte::fragment) continue;
    why = reason(byte);
    return std::nullopt;
  }
  if (scan.is_normal) return split_target(target);
  buffer.clear();
  if (!decode(target.substr(0, scan.end), buffer, why)) return std::nullopt;
  if (!remove_dot_segments(buffer, why)) return std::nullopt;
  buffer += tail;
  return split_target(buffer);
}

Target split_target(std::string_view target) {
  Target out;
  out.text = target;
  out.path = target.substr(0, target.find('?'));
  out.has_query = out.path.size() != target.size();
  if (out.has_query) out.query = target.substr(out.path.size() + 1);
  return out;
}

}  // namespace raincheck::routes
