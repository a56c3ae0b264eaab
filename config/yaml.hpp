// One YAML document as a plain tree of values with their places. Stricter than YAML: duplicate
// keys, several documents, an empty file, tags, merge keys and quotes that never close are refused,
// each in words. Bounded: depth, number of nodes and bytes are limited, aliases are expanded within
// those limits. Only yaml.cpp knows yaml-cpp. Nothing here knows what a setting means.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace raincheck::config {

enum class Severity { error, warning };

// What is wrong, where, and what was probably meant.
struct Diagnostic {
  Place place;
  std::string path;     // of the setting: "upstreams.reports.timeouts.connect"; may be empty
  std::string message;  // one clause, no full stop
  std::string hint;     // "did you mean 'upstream'?"; may be empty
  Severity severity = Severity::error;
};

}  // namespace raincheck::config

namespace raincheck::config::yaml {

enum class Kind { null, scalar, list, map };

struct Entry;

struct Value {
  Kind kind = Kind::null;
  bool is_quoted = false;  // a scalar in quotes, or a block of text
  Place place;
  std::string text;            // of a scalar
  std::vector<Value> items;    // of a list
  std::vector<Entry> entries;  // of a map, in the order of the file; keys are scalars
};

struct Entry {
  Value key;
  Value value;
};

struct Limits {
  std::size_t bytes = std::size_t{16} << 20;  // of the file, and of all scalars after expansion
  std::size_t nodes = 1'000'000;              // after expansion
  std::size_t depth = 32;
};

struct Document {
  Value root;                           // null when the text is no YAML at all
  std::vector<Diagnostic> diagnostics;  // every problem found
};

// Never throws on what the text is.
Document parse(const std::string& file, std::string_view text, const Limits& limits = {});

}  // namespace raincheck::config::yaml
