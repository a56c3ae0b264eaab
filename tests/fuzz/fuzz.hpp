// What the fuzz targets share. A target takes any bytes, and aborts when what must hold does not.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raincheck::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// The input without its first byte, which a target takes for its choices.
inline std::string_view rest_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data) + 1, size - 1};
}

// The first `size` bytes in memory of their own, so that a sanitizer sees every step beyond them.
inline std::vector<char> copy_of(std::string_view text, std::size_t size) {
  return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size)};
}

// Fields in their order, but those of one name together: Beast keeps them so.
using Fields = std::vector<std::pair<std::string, std::string>>;
inline void group_by_name(Fields& fields) {
  const auto lowered = [](std::string name) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
    return name;
  };
  std::stable_sort(fields.begin(), fields.end(), [&](const auto& a, const auto& b) {
    return lowered(a.first) < lowered(b.first);
  });
}

template <class Ours, class Theirs>
void require_same_fields(const Ours& ours, const Theirs& theirs) {
  Fields a;
  Fields b;
  for (const auto& field : ours) a.emplace_back(field.name, field.value);
  for (const auto& field : theirs) b.emplace_back(field.name_string(), field.value());
  group_by_name(a);
  group_by_name(b);
  require(a == b, "the fields");
}

}  // namespace raincheck::fuzz
