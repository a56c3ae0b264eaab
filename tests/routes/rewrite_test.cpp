#include "routes/rewrite.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/interpolate.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

config::TemplateText text_of(std::string_view text) {
  return config::interpolate_template(text, config::Environment::empty()).text;
}

struct Route {
  Route(std::string_view match, std::string_view path, std::string_view host = "") {
    std::string why;
    pattern = PathPattern::parse(match, why);
    config::Rewrite settings;
    if (!path.empty()) settings.path = text_of(path);
    if (!host.empty()) settings.host = text_of(host);
    rewrite = Rewrite::compile(settings, pattern, problems);
  }

  Values values(std::string_view target) {
    std::string_view why;
    Values out;
    out.target = normalize(target, buffer, why).value();
    out.pattern = &pattern;
    out.host = "api.example.com:8443";
    return out;
  }

  std::string target(std::string_view asked) {
    std::string out;
    std::string why;
    return rewrite.make_target(values(asked), out, why) ? out : "! " + why;
  }

  std::string host(std::string_view asked) {
    std::string out = "own";
    std::string why;
    return rewrite.make_host(values(asked), out, why) ? out : "! " + why;
  }

  std::string back(std::string_view asked, std::string_view path) {
    return rewrite.reverse(values(asked), path).value_or("?");
  }

  PathPattern pattern;
  Rewrite rewrite;
  std::vector<RuleProblem> problems;
  std::string buffer;
};

struct Case {
  std::string_view match;
  std::string_view path;
  std::string_view asked;
  std::string_view expected;
};

}  // namespace

TEST_CASE("the path of a call is made from the path of the request") {
  const Case cases[] = {
      {"/a", "", "/a?x=1", "/a?x=1"},
      {"/a", "/b", "/a", "/b"},
      {"/a", "/b", "/a?x=1&y", "/b?x=1&y"},
      {"/a", "/b", "/a?", "/b?"},
      {"/a", "/b?z=2", "/a?x=1", "/b?z=2"},
      {"/a", "/b?z=2&${request.query}", "/a?x=1", "/b?z=2&x=1"},
      {"/r/{c}", "/cgi-bin/r.pl/${path.c}", "/r/a%20b;c", "/cgi-bin/r.pl/a%20b;c"},
      {"/r/{c}", "/cgi?c=${path.c}", "/r/a&b=c?x", "/cgi?c=a%26b%3Dc"},
      {"/api/*", "/v1/${path.*}", "/api/x/y?q", "/v1/x/y?q"},
      {"/api/*", "/${path.*}", "/api", "/"},
      {"/api/{rest...}", "/${path.rest}", "/api/x/", "/x/"},
      {"/api/*", "/legacy${request.path}", "/api/x", "/legacy/api/x"},
      {"/r/{c}", "/x/${query.q}", "/r/1", "! the request has no '${query.q}'"},
      {"/r/{c}", "/x/${query.q:-none}", "/r/1", "/x/none"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.path);
    Route route(c.match, c.path);
    CHECK(route.problems.empty());
    CHECK(route.target(c.asked) == c.expected);
  }
}

TEST_CASE("no request leads out of the path that the rule names") {
  const Case cases[] = {
      {"/r/{c}", "/x/.${query.q}/y", "/r/1?q=.", "! the rewritten path is not in normal form"},
      {"/r/{c}", "/x/${query.q}/y", "/r/1?q=..", "! the rewritten path is not in normal form"},
      {"/r/{c}", "/x/${query.q}", "/r/1?q=a%2Fb",
       "! the rewritten path is not in normal form: the path holds an encoded slash, backslash or "
       "NUL"},
      {"/r/{c}", "/x/${query.q}", "/r/1?q=%00",
       "! the rewritten path is not in normal form: the path holds an encoded slash, backslash or "
       "NUL"},
      {"/r/{c}", "/x/${query.q}", "/r/1?q=a%3Fb%23%0D%0A", "/x/a%3Fb%23%0D%0A?q=a%3Fb%23%0D%0A"},
      {"/r/{c}", "/x/${query.q}/y", "/r/1?q=", "! the rewritten path is not in normal form"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.asked);
    Route route(c.match, c.path);
    CHECK(route.problems.empty());
    CHECK(route.target(c.asked) == c.expected);
  }
}

TEST_CASE("the host of a call is the server's own, one that is named, or the client's") {
  CHECK(Route("/a", "").host("/a") == "own");
  CHECK(Route("/a", "", "reports.internal").host("/a") == "reports.internal");
  CHECK(Route("/a", "", "${request.host}").host("/a") == "api.example.com:8443");
  CHECK(Route("/a", "", "${query.h}.internal").host("/a?h=x") == "x.internal");
  CHECK(Route("/a", "", "${query.h}.internal").host("/a?h=x%2Fy") ==
        "! the rewritten host is not one");
  CHECK(Route("/a", "", "${query.h}.internal").host("/a?h=x%0Ay") ==
        "! '${query.h}' has no value that can be used");
  CHECK(Route("/a", "", "${query.h}").host("/a") == "! the request has no '${query.h}'");
}

TEST_CASE("rules that cannot work are refused when they are compiled") {
  const struct {
    std::string_view path;
    std::string_view host;
    std::string_view expected;
  } cases[] = {
      {"b", "", "rewrite.path: the target does not begin with '/'"},
      {"${path.c}", "", "rewrite.path: the target does not begin with '/'"},
      {"/a b", "", "rewrite.path: the target holds a byte that no URL has"},
      {"/a/../b", "", "rewrite.path: is not in normal form: '/b'"},
      {"/a#b", "", "rewrite.path: the target holds a '#'"},
      {"/a/${path.d}", "",
       "rewrite.path: the route's path has no parameter 'd'; did you mean 'c'?"},
      {"", "a/b", "rewrite.host: must be host or host:port"},
      {"", "http://a", "rewrite.host: must be host or host:port"},
      {"", "a:0", "rewrite.host: must be host or host:port"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.path);
    const Route route("/r/{c}", c.path, c.host);
    REQUIRE(route.problems.size() == 1);
    CHECK(route.problems[0].setting + ": " + route.problems[0].message == c.expected);
  }
}

TEST_CASE("the rule leads backwards from a path of the backend to the public one") {
  const struct {
    std::string_view match;
    std::string_view path;
    std::string_view asked;
    std::string_view backend;
    std::string_view expected;
  } cases[] = {
      {"/a", "", "/a", "/x/y", "/x/y"},
      {"/api/*", "/v1/${path.*}", "/api/x", "/v1/y/z", "/api/y/z"},
      {"/api/*", "/v1/${path.*}", "/api/x", "/v1", "/api"},
      {"/api/*", "/v1/${path.*}", "/api/x", "/v1/", "/api/"},
      {"/api/*", "/v1/${path.*}", "/api/x", "/v10/y", "?"},
      {"/api/*", "/v1/${path.*}", "/api/x", "/", "?"},
      {"/api/*", "/${path.*}", "/api/x", "/y", "/api/y"},
      {"/api/*", "/${path.*}", "/api/x", "/", "/api/"},
      {"/*", "/app/${path.*}", "/x", "/app/y", "/y"},
      {"/*", "/app/${path.*}", "/x", "/app", "/"},
      {"/r/{c}", "/cgi/r.pl/${path.c}", "/r/1", "/cgi/r.pl/2", "/r/2"},
      {"/r/{c}", "/cgi/r.pl/${path.c}", "/r/1", "/cgi/r.pl/2/page/3", "/r/2/page/3"},
      {"/r/{c}", "/cgi/r.pl/${path.c}", "/r/1", "/cgi/r.pl/", "?"},
      {"/{t}/r/{c}", "/r/${path.c}?t=${path.t}", "/acme/r/1", "/r/2", "/acme/r/2"},
      {"/{t}/*", "/x/${path.t}/y/${path.*}", "/a/b", "/x/c/y/d/e", "/c/d/e"},
      {"/api/*", "/legacy${request.path}", "/api/x", "/legacy/other", "/other"},
      {"/api/*", "/legacy${request.path}", "/api/x", "/legacy", "/"},
      {"/r/{c}", "/r-${path.c}.html", "/r/1", "/r-1.html", "/r/1"},
      {"/r/{c}", "/r-${path.c}", "/r/1", "/r-1/sub", "/r/1/sub"},
      {"/r/{c}", "/r-${path.c}", "/r/1", "/r-2", "?"},
      {"/r/{c}", "/r-${path.c}", "/r/1", "/r-12", "?"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.path);
    CAPTURE(c.backend);
    Route route(c.match, c.path);
    CHECK(route.problems.empty());
    CHECK(route.back(c.asked, c.backend) == c.expected);
  }
}
