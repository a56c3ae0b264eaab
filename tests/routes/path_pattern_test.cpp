#include "routes/path_pattern.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using raincheck::routes::PathPattern;

namespace {

PathPattern good(std::string_view text) {
  std::string why;
  PathPattern pattern = PathPattern::parse(text, why);
  CAPTURE(text);
  CHECK(why == "");
  return pattern;
}

std::string complaint(std::string_view text) {
  std::string why;
  PathPattern::parse(text, why);
  return why;
}

std::string parameters(std::string_view pattern, const std::string& path) {
  std::string text;
  const PathPattern parsed = good(pattern);
  for (const auto& [name, value] : parsed.parameters(path)) {
    text += std::string(name) + "=" + std::string(value) + ";";
  }
  return text;
}

}  // namespace

TEST_CASE("a pattern matches whole segments") {
  const struct {
    std::string_view pattern;
    std::string_view path;
    bool matches;
  } cases[] = {
      {"/", "/", true},
      {"/", "/a", false},
      {"/a", "/a", true},
      {"/a", "/a/", false},
      {"/a", "/A", false},
      {"/a", "/", false},
      {"/a/", "/a/", true},
      {"/a/", "/a", false},
      {"/prefix/*", "/prefix", true},
      {"/prefix/*", "/prefix/", true},
      {"/prefix/*", "/prefix/a/b", true},
      {"/prefix/*", "/prefixes", false},
      {"/prefix/*", "/", false},
      {"/*", "/", true},
      {"/*", "/a/b", true},
      {"/with/{segment}", "/with/x", true},
      {"/with/{segment}", "/with/", false},
      {"/with/{segment}", "/with", false},
      {"/with/{segment}", "/with/x/", false},
      {"/with/{segment}", "/with/x/y", false},
      {"/{a}/{b}", "/1/2", true},
      {"/{a}/b/", "/1/b/", true},
      {"/{a}/b/", "/1/b", false},
      {"/{a}/*", "/1", true},
      {"/{a}/*", "/1/2/3", true},
      {"/{a}/*", "/", false},
      {"/with/{rest...}", "/with", true},
      {"/with/{rest...}", "/with/", true},
      {"/with/{rest...}", "/with/a/b", true},
      {"/with/{rest...}", "/without", false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.path);
    CHECK(good(c.pattern).matches(c.path) == c.matches);
  }
}

TEST_CASE("parameters have the values of their segments") {
  CHECK(parameters("/reports/{customer}", "/reports/acme") == "customer=acme;");
  CHECK(parameters("/{a}/x/{b}", "/1/x/2") == "a=1;b=2;");
  CHECK(parameters("/files/{rest...}", "/files/a/b") == "rest=a/b;");
  CHECK(parameters("/files/{rest...}", "/files/") == "rest=;");
  CHECK(parameters("/files/{rest...}", "/files") == "rest=;");
  CHECK(parameters("/{a}/{rest...}", "/1/2/3/") == "a=1;rest=2/3/;");
  CHECK(parameters("/files/*", "/files/a") == "");
}

TEST_CASE("a pattern that could not mean what it says is refused") {
  const struct {
    std::string_view pattern;
    std::string_view why;
  } cases[] = {
      {"", "must begin with '/'"},
      {"a", "must begin with '/'"},
      {"/*/a", "'*' stands at the end, for all that follows; use {name} here"},
      {"/a*", "'a*' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/**", "'**' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/a{b}", "'a{b}' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/{}", "'{}' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/{a", "'{a' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/{...}",
       "'{...}' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/{a-b}",
       "'{a-b}' must be a whole segment: a literal, {name}, or {name...} or * at the end"},
      {"/{a}/{a}", "'{a}' is here twice"},
      {"/{a}/{a...}", "'{a}' is here twice"},
      {"/{a...}/b", "'{name...}' stands at the end, for all that follows"},
      {"/a//b", "never matches as it is written: requests come as '/a/b'"},
      {"/a/../b", "never matches as it is written: requests come as '/b'"},
      {"/%61", "never matches as it is written: requests come as '/a'"},
      {"/a?b", "a match has no query: '?' is not part of a path"},
      {"/a#b", "the target holds a '#'"},
      {"/a%2Fb", "the path holds an encoded slash, backslash or NUL"},
      {"/\xC3\xA4", "the target holds a byte that no URL has"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.pattern);
    CHECK(complaint(c.pattern) == c.why);
  }
}
