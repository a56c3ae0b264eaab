// What settings are made of: units, places in files, texts with ${...}. Part of config.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace raincheck::config {

using std::chrono::milliseconds;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;

// Where in the files a value was written, for messages. Lines and columns count from 1; line 0: not
// from a file.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
};

// A text with ${...} of a request in it, as routes::Template compiles it: literal parts, in which
// everything that is known at load time stands already, and names.
struct TemplateText {
  struct Part {
    bool is_name = false;
    std::string text;  // of a name: what stands between ${ and }
  };
  std::vector<Part> parts;
  std::string written;  // as it stands in the file
  Place place;
};

// A JSON value whose strings may have ${...} of a request in them.
struct TemplateJson {
  std::string json;                   // with its strings as they are written; empty: there is none
  std::vector<TemplateText> strings;  // one for each string that is a value in it, in its order
};

// A file that a setting names. load() makes of a relative path one from the folder of the file that
// says so.
struct FileName {
  std::string path;
  Place place;  // set by load()

  bool empty() const { return path.empty(); }
};

struct StatusRange {
  int first = 200;
  int last = 399;
};

// An entry of a map whose keys are the operator's own words.
template <class T>
struct Named {
  std::string name;
  T value;
};

}  // namespace raincheck::config
