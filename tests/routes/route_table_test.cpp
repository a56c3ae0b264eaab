#include "routes/route_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "tests/routes/templates.hpp"

using namespace raincheck;
using routes::RouteTable;
using routes::tests::json_of;
using routes::tests::text_of;

namespace {

// Routes written as "GET,POST /path" or "/path", in the order of a file.
config::Config config_of(const std::vector<std::string>& matches) {
  config::Config config;
  int line = 0;
  for (const std::string& text : matches) {
    config::Route& route = config.routes.emplace_back();
    route.name = text;
    route.place = {"raincheck.yaml", ++line, 5};
    const std::size_t space = text.find(' ');
    route.match.path = space == text.npos ? text : text.substr(space + 1);
    for (std::size_t i = 0; space != text.npos && i < space;) {
      const std::size_t end = std::min(text.find(',', i), space);
      route.match.methods.push_back(text.substr(i, end - i));
      i = end + 1;
    }
  }
  return config;
}

std::string find(const RouteTable& table, std::string_view method, std::string_view path) {
  const auto match = table.match({method, "", path, "", nullptr});
  if (match) return match.route->name;
  return match.is_path_known ? "405" : "404";
}

std::vector<std::string> problems(const std::vector<std::string>& matches) {
  const config::Config config = config_of(matches);
  const RouteTable table(config);
  std::vector<std::string> texts;
  for (const auto& problem : table.problems()) texts.push_back(problem.message);
  return texts;
}

}  // namespace

TEST_CASE("the most specific route wins, whatever the order of the file") {
  std::vector<std::string> matches = {
      "/*",
      "/reports/*",
      "POST /reports/*",
      "/reports/{customer}",
      "/reports/{customer}/pages/{page}",
      "/reports/{customer}/*",
      "/reports/all",
      "GET,HEAD /reports/all",
      "/reports/{rest}/pages/first",
      "/{a}/b",
      "/a/{b}",
      "/files/{path...}",
      "DELETE /only",
  };
  const struct {
    std::string_view method;
    std::string_view path;
    std::string_view expected;
  } cases[] = {
      {"GET", "/", "/*"},
      {"GET", "/x/y", "/*"},
      {"GET", "/reports", "/reports/*"},
      {"POST", "/reports", "POST /reports/*"},
      {"POST", "/reports/", "POST /reports/*"},
      {"GET", "/reports/acme", "/reports/{customer}"},
      {"POST", "/reports/acme", "/reports/{customer}"},  // the path decides before the method
      {"GET", "/reports/acme/", "/reports/{customer}/*"},
      {"POST", "/reports/acme/x/y", "/reports/{customer}/*"},
      {"GET", "/reports/acme/pages/3", "/reports/{customer}/pages/{page}"},
      {"GET", "/reports/acme/pages/first", "/reports/{rest}/pages/first"},
      {"GET", "/reports/all", "GET,HEAD /reports/all"},
      {"HEAD", "/reports/all", "GET,HEAD /reports/all"},
      {"PUT", "/reports/all", "/reports/all"},
      {"GET", "/a/b", "/a/{b}"},  // equally long: literal further left
      {"GET", "/c/b", "/{a}/b"},
      {"GET", "/files", "/files/{path...}"},
      {"GET", "/files/a/b", "/files/{path...}"},
      {"DELETE", "/only", "DELETE /only"},
      {"GET", "/only", "/*"},  // no method of its own there: the next one that has it
  };
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    const config::Config config = config_of(matches);
    const RouteTable table(config);
    REQUIRE(table.problems().empty());
    for (const auto& c : cases) {
      CAPTURE(c.method);
      CAPTURE(c.path);
      CHECK(find(table, c.method, c.path) == c.expected);
    }
    std::shuffle(matches.begin(), matches.end(), random);
  }
}

TEST_CASE("a path that is known with other methods is told from one that is not") {
  const config::Config config =
      config_of({"POST /reports/*", "GET /reports/{id}", "DELETE,GET /reports/7", "/any"});
  const RouteTable table(config);
  CHECK(find(table, "PATCH", "/reports/7") == "405");
  CHECK(table.allowed_methods({"", "", "/reports/7", "", nullptr}) == "DELETE, GET, HEAD, POST");
  CHECK(find(table, "DELETE", "/reports/8") == "405");
  CHECK(table.allowed_methods({"", "", "/reports/8", "", nullptr}) == "GET, HEAD, POST");
  CHECK(find(table, "POST", "/reports/7") == "POST /reports/*");
  CHECK(find(table, "get", "/reports/8") == "405");  // methods are case-sensitive
  CHECK(find(table, "GET", "/other") == "404");
  CHECK(table.allowed_methods({"", "", "/other", "", nullptr}) == "");
  CHECK(find(table, "ANYTHING", "/any") == "/any");
}

TEST_CASE("a route for GET is one for HEAD, unless another one of its path names that") {
  std::vector<std::string> matches{"GET /secret/*",      "/secret/*",       "GET /told/{id}",
                                   "HEAD /told/{other}", "POST /told/{id}", "HEAD /*"};
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const config::Config config = config_of(matches);
    const RouteTable table(config);
    REQUIRE(table.problems().empty());
    CHECK(find(table, "HEAD", "/secret/1") == "GET /secret/*");
    CHECK(find(table, "PUT", "/secret/1") == "/secret/*");
    CHECK(find(table, "HEAD", "/told/1") == "HEAD /told/{other}");
    CHECK(find(table, "GET", "/told/1") == "GET /told/{id}");
    CHECK(find(table, "HEAD", "/else") == "HEAD /*");
    CHECK(find(table, "GET", "/else") == "405");
    std::shuffle(matches.begin(), matches.end(), random);
  }
}

TEST_CASE("a route that names HEAD has it, whatever more another one asks of a GET") {
  config::Config config = config_of({"GET /x", "HEAD /x"});
  config.routes[0].match.headers.emplace_back().name = "A";
  config.routes[0].match.headers[0].value = "1";
  const RouteTable table(config);
  routes::Fields fields;
  fields.push_back({"A", "1"});
  CHECK(table.match({"HEAD", "", "/x", "", &fields}).route == &config.routes[1]);
  CHECK(table.match({"GET", "", "/x", "", &fields}).route == &config.routes[0]);
}

TEST_CASE("a table without routes matches nothing") {
  const config::Config config;
  const RouteTable table(config);
  CHECK(find(table, "GET", "/") == "404");
}

TEST_CASE("a match gives the parameters of its own route") {
  const config::Config config = config_of({"GET /r/{customer}", "POST /r/{name}", "/f/{rest...}"});
  const RouteTable table(config);
  REQUIRE(table.problems().empty());
  const auto get = table.match({"GET", "", "/r/acme", "", nullptr});
  REQUIRE(get);
  CHECK(get.parameters("/r/acme").front().first == "customer");
  const auto post = table.match({"POST", "", "/r/acme", "", nullptr});
  REQUIRE(post);
  CHECK(post.parameters("/r/acme").front().first == "name");
  const auto rest = table.match({"GET", "", "/f/a/b", "", nullptr});
  REQUIRE(rest);
  CHECK(rest.parameters("/f/a/b").front().second == "a/b");
}

TEST_CASE("two routes that could match the same request are refused, with both places") {
  const struct {
    std::vector<std::string> matches;
    std::string message;
  } cases[] = {
      {{"/x", "/x"}, "'/x' matches the same requests as '/x' at raincheck.yaml:1:5"},
      {{"POST /x", "GET,POST /x"},
       "'/x' matches the same POST requests as '/x' at raincheck.yaml:1:5"},
      {{"/a/{x}", "/a/{y}"},
       "'/a/{y}' matches the same requests as '/a/{x}' at raincheck.yaml:1:5"},
      {{"/a/*", "/b", "/a/{rest...}"},
       "'/a/{rest...}' matches the same requests as '/a/*' at raincheck.yaml:1:5"},
      {{"/{a}/*", "/{b}/{c...}"},
       "'/{b}/{c...}' matches the same requests as '/{a}/*' at raincheck.yaml:1:5"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.message);
    CHECK(problems(c.matches) == std::vector<std::string>{c.message});
  }
  CHECK(
      problems({"/x", "POST /x", "GET /x", "/x/", "/x/*", "/x/{y}", "/{x}/y", "/{x}/{y}"}).empty());
}

TEST_CASE("every problem of a table is told, with its place") {
  const config::Config config = config_of({"/a*", "/ok", "/{x}/{x}", "/ok"});
  const RouteTable table(config);
  REQUIRE(table.problems().size() == 3);
  CHECK(table.problems()[0].path == "routes[0].match");
  CHECK(table.problems()[0].place.line == 1);
  CHECK(table.problems()[1].place.line == 3);
  CHECK(table.problems()[2].place.line == 4);
}

TEST_CASE("the table agrees with trying every pattern in turn") {
  std::mt19937 random(11);
  const auto pick = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const std::string_view parts[] = {"a", "bb", "{x}", "{y}", "ccc"};
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> matches;
    for (int i = 0; i < 12; ++i) {
      std::string path;
      const bool one = pick(2) == 0;
      if (one || pick(4) > 0) path += "/" + std::string(parts[pick(3)]);
      if (pick(2) == 0) path += "/" + std::string(parts[3 + pick(2)]);
      if (path.empty() || pick(3) == 0) path += "/*";
      matches.push_back((pick(3) == 0 ? "POST " : "") + path);
    }
    const config::Config config = config_of(matches);
    const RouteTable table(config);
    for (int i = 0; i < 50; ++i) {
      std::string path;
      const std::string_view words[] = {"a", "bb", "ccc", "d", ""};
      for (std::size_t n = 1 + pick(3); n > 0; --n) path += "/" + std::string(words[pick(5)]);
      const std::string method = pick(2) == 0 ? "POST" : "GET";
      std::size_t matching = 0;
      for (const config::Route& route : config.routes) {
        std::string why;
        const auto pattern = routes::PathPattern::parse(route.match.path, why);
        const auto& methods = route.match.methods;
        const bool has_method =
            methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
        if (has_method && pattern.matches(path)) ++matching;
      }
      const auto match = table.match({method, "", path, "", nullptr});
      CAPTURE(path);
      CHECK((matching > 0) == static_cast<bool>(match));
      if (match) CHECK(match.pattern->matches(path));
    }
  }
}

TEST_CASE("a route has all its rules, and their problems have places") {
  config::Config config = config_of({"/r/{customer}"});
  config::Route& route = config.routes[0];
  route.validate.json_schema = "/s.json";
  route.validate.json_schema_place = {"raincheck.yaml", 7, 5};
  route.async.success.content_types = {"text/plain"};
  route.response_body.merge_patch = json_of(R"({"id":"${job.id}"})");
  const auto read = [](const std::string& path) -> std::optional<std::string> {
    if (path == "/s.json") return R"({"type":"object"})";
    return std::nullopt;
  };
  const RouteTable table(config, read);
  REQUIRE(table.problems().empty());
  const routes::RouteRules& rules = *table.match({"GET", "", "/r/acme", "", nullptr}).rules;
  CHECK(rules.validate.check({"", {}, "application/json", "{}"}));
  CHECK(rules.validate.check({"", {}, "application/json", "[]"}).status == 422);
  CHECK(rules.success.judge({200, "text/plain", "", true}) == "");
  CHECK(rules.success.judge({200, "text/html", "", true}) != "");
  CHECK_FALSE(rules.response_body.is_empty());

  const RouteTable unread(config);
  REQUIRE(unread.problems().size() == 1);
  CHECK(unread.problems()[0].path == "routes[0].validate.json_schema");
  CHECK(unread.problems()[0].place.line == 7);

  route.response_body.replace = {{"a", text_of("${path.custmer}"), {}},
                                 {"b", text_of("${file:/x}"), {}}};
  const RouteTable wrong(config, read);
  REQUIRE(wrong.problems().size() == 2);
  CHECK(wrong.problems()[0].path == "routes[0].response_body.replace[0].to");
  CHECK(wrong.problems()[0].message ==
        "the route's path has no parameter 'custmer'; did you mean 'customer'?");
  CHECK(wrong.problems()[1].path == "routes[0].response_body.replace[1].to");
}
