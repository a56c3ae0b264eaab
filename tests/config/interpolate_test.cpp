#include "config/interpolate.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>

using namespace raincheck::config;

namespace {

Environment world() {
  static const std::map<std::string, std::string> variables = {
      {"HOST", "backend"},
      {"EMPTY", ""},
      {"_a1", "x"},
      {"CREDENTIALS_DIRECTORY", "/run/cred"},
      {"LONG", std::string(70'000, 'x')},
      {"NESTED", "${HOST}"}};
  static const std::map<std::string, std::string> files = {
      {"/run/cred/token", "s3cret\n"}, {"/etc/url", "http://a"}, {"/etc/two", "a\n\n"}};
  const auto find = [](const auto& map, const std::string& key) -> std::optional<std::string> {
    const auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
  };
  Environment environment = Environment::empty();
  environment.variable = [find](const std::string& name) { return find(variables, name); };
  environment.file = [find](const std::string& path) { return find(files, path); };
  return environment;
}

std::string put_in(std::string_view text) {
  const Interpolated out = interpolate(text, world());
  return out.problem.empty() ? out.text : "! " + out.problem;
}

}  // namespace

TEST_CASE("names are replaced by what they stand for, once") {
  const struct {
    std::string_view text;
    std::string_view expected;
  } cases[] = {
      {"", ""},
      {"plain $ text } {", "plain $ text } {"},
      {"$HOST", "$HOST"},
      {"${HOST}", "backend"},
      {"http://${HOST}:${PORT:-8080}/", "http://backend:8080/"},
      {"${EMPTY}", ""},
      {"${EMPTY:-full}", "full"},
      {"${HOST:-other}", "backend"},
      {"${NONE:-}", ""},
      {"${NONE:-a:-b}", "a:-b"},
      {"${_a1}", "x"},
      {"${NESTED}", "${HOST}"},
      {"${credential:token}", "s3cret"},
      {"${file:/etc/url}", "http://a"},
      {"${file:/etc/two}", "a\n"},
      {"$${HOST}", "${HOST}"},
      {"a$${x}b${HOST}", "a${x}bbackend"},
      {"$$", "$$"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(put_in(c.text) == c.expected);
  }
}

TEST_CASE("what has no value is an error, never an empty text") {
  const struct {
    std::string_view text;
    std::string_view expected;
  } cases[] = {
      {"${NONE}", "! the environment variable 'NONE' is not set"},
      {"${HOST", "! '${' without '}'"},
      {"${}", "! '${}' is not a name that can be put in"},
      {"${1A}", "! '${1A}' is not a name that can be put in"},
      {"${A B}", "! '${A B}' is not a name that can be put in"},
      {"${foo.bar}", "! '${foo.bar}' is not a name that can be put in"},
      {"${file:/none}", "! '${file:/none}' cannot be read: '/none': No such file or directory"},
      {"${credential:none}",
       "! '${credential:none}' cannot be read: '/run/cred/none': No such file or directory"},
      {"${credential:../x}", "! '${credential:../x}' does not name a credential"},
      {"${credential:}", "! '${credential:}' does not name a credential"},
      {"${header.X-Tenant}",
       "! '${header.X-Tenant}' is known only when a request is there; it cannot be used here"},
      {"${public_url}",
       "! '${public_url}' is known only when a request is there; it cannot be used here"},
      {"${LONG}", "! the value is longer than 64 KiB"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(put_in(c.text) == c.expected);
  }
  CHECK(interpolate("${credential:x}", Environment::empty()).problem ==
        "'${credential:x}' has no value: $CREDENTIALS_DIRECTORY is not set");
}

TEST_CASE("what comes from files and credentials is marked as secret") {
  CHECK(interpolate("${credential:token}", world()).is_secret);
  CHECK(interpolate("x${file:/etc/url}", world()).is_secret);
  CHECK_FALSE(interpolate("${HOST}", world()).is_secret);
}
