#include "routes/path.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using raincheck::routes::normalize;

namespace {

// The normal form, or "! " and why there is none.
std::string normal(std::string_view target) {
  std::string buffer = "left from before";
  std::string_view why;
  const auto out = normalize(target, buffer, why);
  if (!out) return "! " + std::string(why);
  CHECK(std::string(out->path) + (out->has_query ? "?" : "") + std::string(out->query) ==
        std::string(out->text));
  return std::string(out->text);
}

}  // namespace

TEST_CASE("a target becomes its normal form, and the normal form stays as it is") {
  const struct {
    std::string_view target;
    std::string_view expected;
  } cases[] = {
      {"/", "/"},
      {"/reports/7", "/reports/7"},
      {"/reports/", "/reports/"},
      {"//", "/"},
      {"///a//b///", "/a/b/"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/b/.", "/a/b/"},
      {"/a/b/../", "/a/"},
      {"/a/..", "/"},
      {"/.", "/"},
      {"/./", "/"},
      {"/a/b/c/../../d", "/a/d"},
      {"/a//../b", "/b"},  // merged first, as the servers behind us do
      {"/...", "/..."},
      {"/.well-known/x", "/.well-known/x"},
      {"/a/..b/.c", "/a/..b/.c"},
      {"/%41%7a%2D%2E%5F%7e", "/Az-._~"},
      {"/%e4%f6", "/%E4%F6"},
      {"/a%20b", "/a%20b"},
      {"/a%2eb", "/a.b"},
      {"/%2e%2E/%2e", "! the path leads above the root"},
      {"/a/%2e%2E/b", "/b"},
      {"/a%252Fb", "/a%252Fb"},
      {"/a%3Fb%23c", "/a%3Fb%23c"},
      {"/a;v=1/b;w", "/a;v=1/b;w"},
      {"/a,b:c@d!$&'()*+=", "/a,b:c@d!$&'()*+="},
      {"/a[1]|{x}\"<>^`", "/a[1]|{x}\"<>^`"},
      {"/a?x=%zz//../.&y=\\?&[]", "/a?x=%zz//../.&y=\\?&[]"},
      {"//a?", "/a?"},
      {"/a/../b?c=/../d", "/b?c=/../d"},
      {"/?/..", "/?/.."},
  };
  for (const auto& c : cases) {
    CAPTURE(c.target);
    const std::string once = normal(c.target);
    CHECK(once == c.expected);
    if (once.front() == '/') CHECK(normal(once) == once);
  }
}

TEST_CASE("a target that servers could read differently is refused") {
  const struct {
    std::string_view target;
    std::string_view why;
  } cases[] = {
      {"", "the target does not begin with '/'"},
      {"*", "the target does not begin with '/'"},
      {"a/b", "the target does not begin with '/'"},
      {"?x", "the target does not begin with '/'"},
      {"/..", "the path leads above the root"},
      {"/../a", "the path leads above the root"},
      {"/a/../..", "the path leads above the root"},
      {"/a/../../b", "the path leads above the root"},
      {"//..//a", "the path leads above the root"},
      {"/a/..;x/b", "the path holds a dot segment with parameters"},
      {"/a/.;/b", "the path holds a dot segment with parameters"},
      {"/a/%2e.;x=1", "the path holds a dot segment with parameters"},
      {"/a%2Fb", "the path holds an encoded slash, backslash or NUL"},
      {"/a%2fb", "the path holds an encoded slash, backslash or NUL"},
      {"/a%5cb", "the path holds an encoded slash, backslash or NUL"},
      {"/a%00", "the path holds an encoded slash, backslash or NUL"},
      {"/a\\b", "the path holds a backslash"},
      {"/%", "the path holds a '%' without two hexadecimal digits"},
      {"/%4", "the path holds a '%' without two hexadecimal digits"},
      {"/%4?1", "the path holds a '%' without two hexadecimal digits"},
      {"/%g1", "the path holds a '%' without two hexadecimal digits"},
      {"/%1g", "the path holds a '%' without two hexadecimal digits"},
      {"/a#b", "the target holds a '#'"},
      {"/a?b#c", "the target holds a '#'"},
      {"/a b", "the target holds a byte that no URL has"},
      {"/a\tb", "the target holds a byte that no URL has"},
      {"/a\r\nb", "the target holds a byte that no URL has"},
      {"/\xC3\xA4", "the target holds a byte that no URL has"},
      {"/\x7F", "the target holds a byte that no URL has"},
      {"/a?b c", "the target holds a byte that no URL has"},
      {"/a?\xFF", "the target holds a byte that no URL has"},
      {std::string_view("/a\0b", 4), "the target holds a byte that no URL has"},
      {std::string_view("/a?\0", 4), "the target holds a byte that no URL has"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.target);
    CHECK(normal(c.target) == "! " + std::string(c.why));
  }
}

TEST_CASE("a target that is normal already is not copied") {
  const std::string target = "/reports/7?x=%zz";
  std::string buffer = "untouched";
  std::string_view why;
  const auto out = normalize(target, buffer, why);
  REQUIRE(out);
  CHECK(out->text.data() == target.data());
  CHECK(out->path == "/reports/7");
  CHECK(out->query == "x=%zz");
  CHECK(buffer == "untouched");
}

TEST_CASE("an empty query is not the same as none") {
  std::string buffer;
  std::string_view why;
  CHECK(normalize("/a?", buffer, why)->has_query);
  CHECK_FALSE(normalize("/a", buffer, why)->has_query);
}
