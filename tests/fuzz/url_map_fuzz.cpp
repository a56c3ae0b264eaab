// Fuzzes the way back of URLs and cookies: nothing breaks out of a field, no URL of the backend is
// left behind where one was understood, and what is mapped stays as it is.
//
// The first byte chooses the kind and whether there is a public URL, the rest is the value.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/interpolate.hpp"
#include "routes/url_map.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace raincheck;
using fuzz::require;

config::TemplateText text_of(std::string_view text) {
  return config::interpolate_template(text, config::Environment::empty()).text;
}

// A route before one server whose path and host are rewritten.
struct World {
  explicit World(std::string_view public_url) {
    std::string why;
    std::string_view reason;
    pattern = routes::PathPattern::parse("/one/*", why);
    upstream.servers.emplace_back().authority = "backend:8081";
    config::Rewrite rewriting;
    rewriting.path = text_of("/two/${path.*}");
    rewriting.host = text_of("internal");
    config::ResponseHeaders settings;
    settings.rewrite_cookies.domain = text_of("example.com");
    settings.rewrite_cookies.path.push_back({"/two", "/one"});
    std::vector<routes::RuleProblem> problems;
    rewrite = routes::Rewrite::compile(rewriting, pattern, problems);
    map = routes::UrlMap::compile(settings, &upstream, rewrite, pattern, problems);
    require(problems.empty(), "rules that can be compiled");
    values.target = routes::normalize("/one/x/y?z", buffer, reason).value();
    values.pattern = &pattern;
    values.public_url = public_url;
  }

  std::optional<std::string> apply(unsigned kind, std::string_view value) const {
    const auto found = kind % 2 == 0 ? routes::Found::in_place : routes::Found::elsewhere;
    switch (kind / 2 % 4) {
      case 0:
        return map.map_url(values, found, value);
      case 1:
        return map.map_link(values, found, value);
      case 2:
        return map.map_refresh(values, found, value);
      default:
        return map.map_cookie(values, value);
    }
  }

  routes::PathPattern pattern;
  config::Upstream upstream;
  routes::Rewrite rewrite;
  routes::UrlMap map;
  routes::Values values;
  std::string buffer;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World alone("");
  static const World named("https://example.com");
  if (size == 0) return 0;
  const std::string_view value = fuzz::rest_of(data, size);
  if (!routes::is_field_value(value)) return 0;
  const unsigned kind = data[0];
  const World& world = kind / 8 % 2 == 0 ? named : alone;
  const auto once = world.apply(kind, value);
  if (!once) return 0;
  require(routes::is_field_value(*once), "a value that stays in its line");
  require(*once != value, "a change");
  const auto twice = world.apply(kind, *once);
  require(!twice || *twice == *once || kind / 2 % 4 != 3, "a cookie that stays as it is");
  if (kind / 2 % 4 == 0) {
    const bool is_path = once->starts_with("/") && !once->starts_with("//");
    require(is_path || once->starts_with("https://example.com/"), "a public URL");
  }
  return 0;
}
