#include "routes/url_map.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "config/load.hpp"
#include "routes/route_table.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

// One route before two servers, and a request that it matched.
class World {
 public:
  explicit World(const std::string& route,
                 const std::string& target = "/one/some?x=1",
                 const std::string& public_url = "http://frontend")
      : loaded_(config::tests::load_alone(
            "upstreams: { u: { servers: [http://localhost:8000, http://Second] } }\n"
            "routes:\n  - { upstream: u, " +
            route + " }\n")),
        table_(loaded_.config),
        target_(target),
        public_url_(public_url) {
    CAPTURE(config::tests::complaints(loaded_));
    REQUIRE(loaded_.ok);
    REQUIRE(table_.problems().empty());
    std::string_view why;
    values_.target = normalize(target_, buffer_, why).value();
    match_ = table_.match({"GET", "", values_.target.path, "", nullptr});
    REQUIRE(match_);
    values_.pattern = match_.pattern;
    values_.host = "frontend:8443";
    values_.public_url = public_url_;
  }

  const UrlMap& map() const { return match_.rules->urls; }
  const Values& values() const { return values_; }

  std::string url(std::string_view url, Found found = Found::in_place) const {
    return map().map_url(values_, found, url).value_or(std::string(url));
  }
  std::string link(std::string_view link) const {
    return map().map_link(values_, Found::in_place, link).value_or(std::string(link));
  }
  std::string refresh(std::string_view text) const {
    return map().map_refresh(values_, Found::in_place, text).value_or(std::string(text));
  }
  std::string cookie(std::string_view cookie) const {
    return map().map_cookie(values_, cookie).value_or(std::string(cookie));
  }

 private:
  config::Loaded loaded_;
  RouteTable table_;
  std::string target_;
  std::string public_url_;
  RouteMatch match_;
  Values values_;
  std::string buffer_;
};

struct Case {
  std::string_view from;
  std::string_view to;
};

const std::string moved = "match: '/one/*', rewrite: { path: '/two/${path.*}' }";

}  // namespace

// The examples of nginx's manual, where our settings say the same.
TEST_CASE("URLs are mapped as nginx's proxy_redirect maps them") {
  SUBCASE("proxy_redirect http://localhost:8000/two/ http://frontend/one/") {
    const World world(moved);
    CHECK(world.url("http://localhost:8000/two/some/uri/") == "http://frontend/one/some/uri/");
    CHECK(world.refresh("5; url=http://localhost:8000/two/some/uri/") ==
          "5; url=http://frontend/one/some/uri/");
  }
  SUBCASE("proxy_redirect default, location /one/, proxy_pass http://localhost:8000/two/") {
    const World world(moved, "/one/some", "");
    CHECK(world.url("http://localhost:8000/two/some/uri/") == "/one/some/uri/");
  }
  SUBCASE("proxy_redirect default, location /one/, proxy_pass http://localhost:8000") {
    const World world("match: '/one/*'", "/one/some", "");
    CHECK(world.url("http://localhost:8000/two/some/uri/") == "/two/some/uri/");
  }
  SUBCASE("proxy_redirect off") {
    const World world(moved + ", response_headers: { rewrite_location: false }");
    CHECK(world.url("http://localhost:8000/two/some/uri/") ==
          "http://localhost:8000/two/some/uri/");
  }
}

TEST_CASE("only what is the backend's becomes ours") {
  const World world("match: '/one/*', rewrite: { host: 'Reports.internal:8080' }");
  const Case cases[] = {
      {"http://localhost:8000/x?a=b#c", "http://frontend/x?a=b#c"},
      {"HTTP://LOCALHOST:8000/x", "http://frontend/x"},
      {"http://localhost:8000", "http://frontend/"},
      {"http://localhost:8000?q", "http://frontend/?q"},
      {"//localhost:8000/x", "http://frontend/x"},
      {"http://localhost:8000/a b?c d#e", "http://frontend/a%20b?c%20d#e"},
      {"http://localhost:8000/\xC3\xA4", "http://frontend/%C3%A4"},
      {"http://elsewhere/a b", "http://elsewhere/a b"},
      {"/a b", "/a b"},
      {"http://second/x", "http://frontend/x"},
      {"http://second:80/x", "http://frontend/x"},
      {"http://second:/x", "http://frontend/x"},
      {"https://reports.internal:8080/x", "http://frontend/x"},
      {"http://reports.internal:8080/x", "http://frontend/x"},
      {"http://localhost/x", "http://localhost/x"},
      {"http://localhost:8001/x", "http://localhost:8001/x"},
      {"https://localhost:8000/x", "https://localhost:8000/x"},
      {"http://localhost:8000.evil/x", "http://localhost:8000.evil/x"},
      {"http://localhost:8000@evil/x", "http://localhost:8000@evil/x"},
      {"http://user@localhost:8000/x", "http://user@localhost:8000/x"},
      {"http:/x", "http:/x"},
      {"ftp://localhost:8000/x", "ftp://localhost:8000/x"},
      {"mailto:a@localhost:8000", "mailto:a@localhost:8000"},
      {"http://local host:8000/x", "http://local host:8000/x"},
      {"/x", "/x"},
      {"x", "x"},
      {"", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.url(c.from) == c.to);
  }
}

TEST_CASE("a path that the rule moved is moved back, also where it is relative") {
  const World world(moved);
  const Case cases[] = {
      {"/two/x", "/one/x"},     {"/two", "/one"},
      {"/other/x", "/other/x"}, {"http://localhost:8000/other", "http://frontend/other"},
      {"next", "/one/next"},    {"./next?a=b", "/one/next?a=b"},
      {"../up", "/up"},         {"?page=2", "/one/some?page=2"},
      {"#part", "#part"},       {"../../../x", "../../../x"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.url(c.from) == c.to);
  }
}

TEST_CASE("in a result that is collected elsewhere relative references keep their meaning") {
  const World world("match: '/one/*'", "/one/some?x=1");
  CHECK(world.url("next", Found::in_place) == "next");
  const Case cases[] = {
      {"next", "/one/next"}, {"../x", "/x"},     {"?page=2", "/one/some?page=2"},
      {"/one/x", "/one/x"},  {"#part", "#part"}, {"http://second/y", "http://frontend/y"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.url(c.from, Found::elsewhere) == c.to);
  }
}

TEST_CASE("a public URL with a path stands before every path") {
  const World world(moved, "/one/some", "https://example.com/api");
  CHECK(world.url("http://second/two/x") == "https://example.com/api/one/x");
  CHECK(world.url("/two/x") == "/api/one/x");
}

TEST_CASE("a path of the backend never becomes a host") {
  const World world("match: '/one/*'", "/one/some", "");
  CHECK(world.url("http://second//evil.example/x") == "/evil.example/x");
  CHECK(world.url("http://second///evil.example") == "/evil.example");
  CHECK(world.url("http://second//") == "/");
  CHECK(world.url("//second//evil.example/x") == "/evil.example/x");
}

TEST_CASE("every link of a list is mapped, and nothing else of it") {
  const World world("match: '/one/*'");
  const Case cases[] = {
      {"<http://second/a>; rel=next", "<http://frontend/a>; rel=next"},
      {"<http://second/a>;rel=\"next\" , <http://other/b>, <http://second/c>",
       "<http://frontend/a>;rel=\"next\" , <http://other/b>, <http://frontend/c>"},
      {R"(<http://second/a>; title="x, <http://second/b> \" ,", <http://second/c>; rel=last)",
       R"(<http://frontend/a>; title="x, <http://second/b> \" ,", <http://frontend/c>; rel=last)"},
      {"<http://second/a", "<http://second/a"},
      {"http://second/a", "http://second/a"},
      {"<http://second/a>; title=\"x", "<http://frontend/a>; title=\"x"},
      {"<http://second/a>; title=\"x\\", "<http://frontend/a>; title=\"x\\"},
      {"<>", "<>"},
      {"", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.link(c.from) == c.to);
  }
}

TEST_CASE("the URL of a refresh is mapped, quoted or not") {
  const World world("match: '/one/*'");
  const Case cases[] = {
      {"5;URL=http://second/a", "5;URL=http://frontend/a"},
      {"5 ; url = 'http://second/a'", "5 ; url = 'http://frontend/a'"},
      {"0, url=\"http://second/a\" x", "0, url=\"http://frontend/a\" x"},
      {"5; url='http://second/a", "5; url='http://frontend/a"},
      {"5", "5"},
      {"5; http://second/a", "5; http://second/a"},
      {"5; url", "5; url"},
      {"5; url=", "5; url="},
      {"5; url='", "5; url='"},
      {"", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.refresh(c.from) == c.to);
  }
}

// The examples of nginx's manual, where our settings say the same.
TEST_CASE("cookies are mapped as nginx's proxy_cookie_domain and proxy_cookie_path map them") {
  SUBCASE("proxy_cookie_domain localhost example.org") {
    const World world(
        "match: '/one/*', response_headers: { rewrite_cookies: { domain: "
        "example.org } }");
    CHECK(world.cookie("a=b; Domain=localhost") == "a=b; Domain=example.org");
    CHECK(world.cookie("a=b; domain=.LOCALHOST; Secure") == "a=b; domain=example.org; Secure");
    CHECK(world.cookie("a=b; Domain=example.com") == "a=b; Domain=example.com");
    CHECK(world.cookie("a=b; Path=/") == "a=b; Path=/");
  }
  SUBCASE("proxy_cookie_path /two/ /") {
    const World world(
        "match: '/one/*', response_headers: { rewrite_cookies: { path: { /two/: / } "
        "} }");
    CHECK(world.cookie("a=b; Path=/two/some/uri/") == "a=b; Path=/some/uri/");
    CHECK(world.cookie("a=b;path=/two/;HttpOnly") == "a=b;path=/;HttpOnly");
    CHECK(world.cookie("a=b; Path=/other/two/") == "a=b; Path=/other/two/");
    // nginx leaves this one alone, and the browser would never send the cookie.
    CHECK(world.cookie("a=b; Path=/two") == "a=b; Path=/");
  }
}

TEST_CASE("a cookie's domain is replaced where it is the backend's, or left out") {
  const std::string host = "match: '/one/*', rewrite: { host: 'app.corp.internal:8080' }, ";
  const World world(host + "response_headers: { rewrite_cookies: { domain: '${request.host}' } }");
  const Case cases[] = {
      {"a=b; Domain=app.corp.internal", "a=b; Domain=frontend"},
      {"a=b; Domain=.corp.internal; Path=/", "a=b; Domain=frontend; Path=/"},
      {"a=b; Domain=other.corp.internal", "a=b; Domain=other.corp.internal"},
      {"a=b; Domain=p.corp.internal", "a=b; Domain=p.corp.internal"},
      {"a=b; Domain=x; Domain=corp.internal", "a=b; Domain=x; Domain=frontend"},
      {"Domain=corp.internal", "Domain=corp.internal"},
      {"a=b; Domain=", "a=b; Domain="},
      {"a=b; Domain", "a=b; Domain"},
      {"a=b;", "a=b;"},
      {"", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.cookie(c.from) == c.to);
  }
  for (const std::string domain : {"''", "'${header.X-None}'", "'${query.x:-a;b}'"}) {
    CAPTURE(domain);
    const World none(host + "response_headers: { rewrite_cookies: { domain: " + domain + " } }",
                     "/one/some");
    CHECK(none.cookie("a=b; Domain=corp.internal; Secure") == "a=b; Secure");
  }
}

TEST_CASE("the longest beginning of a cookie's path decides") {
  const World world(
      "match: '/one/*', response_headers: { rewrite_cookies: { path: { /: /r, /cgi-bin: /reports, "
      "/cgi-bin/x: /y } } }");
  const Case cases[] = {
      {"a=b; Path=/cgi-bin", "a=b; Path=/reports"},
      {"a=b; Path=/cgi-bin/z", "a=b; Path=/reports/z"},
      {"a=b; Path=/cgi-bin/x/z", "a=b; Path=/y/z"},
      {"a=b; Path=/cgi-binary", "a=b; Path=/r/cgi-binary"},
      {"a=b; Path=/", "a=b; Path=/r/"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.from);
    CHECK(world.cookie(c.from) == c.to);
  }
}

TEST_CASE("mapping what is mapped already changes nothing") {
  const World world(moved +
                    ", response_headers: { rewrite_cookies: { domain: example.org, path: { "
                    "/two: /one } } }");
  for (const char* url : {"http://second/two/x", "/two/x", "http://second/other"}) {
    CHECK(world.url(world.url(url)) == world.url(url));
  }
  const std::string cookie = world.cookie("a=b; Domain=second; Path=/two/x");
  CHECK(cookie == "a=b; Domain=example.org; Path=/one/x");
  CHECK(world.cookie(cookie) == cookie);
}

TEST_CASE("the fields of an answer are mapped, each in its own way") {
  const World world(moved + ", response_headers: { rewrite_cookies: { path: { /two: /one } } }");
  Fields fields;
  const std::string_view before =
      "Server: x\r\nLocation: http://second/two/a\r\nSet-Cookie: a=b; Path=/two\r\n"
      "X-Location: http://second/two/a\r\ncontent-location: /two/b\r\nSet-Cookie: c=d\r\n"
      "Set-Cookie: e=f; path=/two/x\r\nLink: <http://second/two/c>\r\n"
      "Refresh: 1; url=/two/d\r\n";
  fields.assign(before);
  std::string text;
  world.map().apply(world.values(), Found::in_place, fields, text);
  std::string out;
  fields.append_to(out);
  CHECK(out ==
        "Server: x\r\nLocation: http://frontend/one/a\r\nSet-Cookie: a=b; Path=/one\r\n"
        "X-Location: http://second/two/a\r\ncontent-location: /one/b\r\nSet-Cookie: c=d\r\n"
        "Set-Cookie: e=f; path=/one/x\r\nLink: <http://frontend/one/c>\r\n"
        "Refresh: 1; url=/one/d\r\n");
}

TEST_CASE("a URL that the backend names is asked for where it is the backend's own") {
  const World world("match: /one/*, rewrite: { host: backend.internal }");
  struct Row {
    std::string_view url;
    std::string_view target;  // empty: it is not asked for
    std::optional<std::size_t> server = std::nullopt;
  };
  const Row rows[] = {
      {"http://localhost:8000/jobs/1?x=%2F", "/jobs/1?x=%2F", 0},
      {"http://LOCALHOST:8000/jobs/1#part", "/jobs/1", 0},
      {"http://second:80/a%2Fb", "/a%2Fb", 1},
      {"//second/jobs", "/jobs", 1},
      {"http://localhost:8000", "/", 0},
      {"http://localhost:8000?x=1", "/?x=1", 0},
      {"http://backend.internal/jobs/1", "/jobs/1"},
      {"https://backend.internal/jobs/1", "/jobs/1"},
      {"/jobs/1", "/jobs/1"},
      {"2?x=1", "/reports/2?x=1"},
      {"../jobs/1", "/jobs/1"},
      {"?x=2", "/reports/1?x=2"},
      {"http://localhost/jobs/1", ""},
      {"http://localhost:8001/jobs/1", ""},
      {"https://localhost:8000/jobs/1", "/jobs/1", 0},
      {"https://localhost/jobs/1", ""},
      {"http://frontend:8443/jobs/1?x=1", "/jobs/1?x=1"},
      {"https://Frontend:8443", "/"},
      {"https://frontend/jobs/1", "/jobs/1"},
      {"https://frontend:8444/jobs/1", ""},
      {"/a/../jobs/./1", "/jobs/1"},
      {"/jobs/1/..", "/jobs/"},
      {"http://second/a/b/../%2F.?x=/../", "/a/%2F.?x=/../", 1},
      {"/..", ""},
      {"http://169.254.169.254/latest", ""},
      {"http://localhost:8000@evil.example/", ""},
      {"http://evil.example#http://localhost:8000/", ""},
      {"//evil.example/jobs", ""},
      {"http:/jobs/1", ""},
      {"ftp://localhost:8000/jobs/1", ""},
      {"file:///etc/passwd", ""},
      {"mailto:a@localhost", ""},
      {"/jobs/ 1", "/jobs/%201"},
      {"/jobs\\1", ""},
      {"../../jobs", ""},
      {"", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.url);
    const auto own = world.map().own_url(world.values(), "/reports/1?y=2", row.url);
    CHECK(own.has_value() == !row.target.empty());
    if (!own) continue;
    CHECK(own->target == row.target);
    CHECK(own->server == row.server);
  }
}

TEST_CASE("a URL with the public host is asked for as a call of it would be, if the route has it") {
  const World world("match: '/one/*', rewrite: { path: '/inner/${path.*}' }", "/one/some",
                    "https://example.com/base");
  struct Row {
    std::string_view url;
    std::string_view target;
  };
  const Row rows[] = {
      {"https://example.com/base/one/jobs/1?x=1", "/inner/jobs/1?x=1"},
      {"http://example.com/one/jobs/1", "/inner/jobs/1"},
      {"https://frontend:8443/one/a/../jobs", "/inner/jobs"},
      {"https://example.com/jobs/1?x=1", "/jobs/1?x=1"},
      {"https://example.com/based/1", "/based/1"},
      {"https://example.com/base", "/"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.url);
    const auto own = world.map().own_url(world.values(), "/", row.url);
    REQUIRE(own);
    CHECK(own->target == row.target);
    CHECK_FALSE(own->server);
  }
}

TEST_CASE("of a URL that is refused only scheme and host are told") {
  CHECK(UrlMap::origin_of("https://evil.example:81/a?token=1") == "https://evil.example:81");
  CHECK(UrlMap::origin_of("//evil.example/a") == "http://evil.example");
  CHECK(UrlMap::origin_of("http://user:word@evil.example/").empty());
  CHECK(UrlMap::origin_of("/a?token=1").empty());
}

TEST_CASE("what URLs of the backend are does not depend on whether answers are rewritten") {
  const World world("match: /one/*, response_headers: { rewrite_location: false }");
  CHECK(world.map().own_url(world.values(), "/", "http://second/jobs"));
  CHECK_FALSE(world.map().own_url(world.values(), "/", "http://third/jobs"));
}
