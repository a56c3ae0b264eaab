#include "routes/header_rules.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

constexpr std::string_view before =
    "Accept: text/html\r\nX-Debug: 1\r\nCookie: a=b\r\nX-Internal-A: 1\r\nx-debug: 2\r\n"
    "X-Internal-B: 2\r\n";

config::Environment environment() {
  auto out = config::Environment::empty();
  out.variable = [](const std::string&) { return std::string("/run/cred"); };
  out.file = [](const std::string& path) -> std::optional<std::string> {
    if (path == "/run/cred/token") return "s3cret";
    return std::nullopt;
  };
  return out;
}

config::Loaded load_rules(const std::string& rules) {
  return config::load_text("x.yaml",
                           "upstreams: { a: http://a }\nroutes:\n  - match: /r/{customer}\n"
                           "    upstream: a\n    request_headers: " +
                               rules + "\n",
                           environment());
}

// The lines of a head after the rules, or "! " and what is wrong.
std::string apply(const std::string& rules, std::string_view lines = before) {
  const config::Loaded loaded = load_rules(rules);
  if (!loaded.ok) return "! " + config::tests::complaints(loaded);
  std::string why;
  const PathPattern pattern = PathPattern::parse("/r/{customer}", why);
  std::vector<RuleProblem> problems;
  const HeaderRules compiled = HeaderRules::compile(
      loaded.config.routes[0].request_headers, "request_headers", Scope{&pattern, true}, problems);
  if (!problems.empty()) return "! " + problems[0].setting + ": " + problems[0].message;
  Fields sent;
  sent.assign(lines);
  const std::function<std::optional<std::string>(std::string_view)> secret = [](std::string_view) {
    return std::nullopt;
  };
  Values values;
  values.pattern = &pattern;
  values.target.path = "/r/acme%0D%0AX-Evil:%20yes";
  values.fields = &sent;
  values.request_id = "r-1";
  values.secret = &secret;
  Fields fields = sent;
  std::string text;
  if (const Rendering rendering = compiled.apply(values, fields, text); !rendering) {
    return "! " + std::string(rendering.name);
  }
  std::string out;
  fields.append_to(out);
  return out;
}

struct Case {
  std::string rules;
  std::string_view expected;
};

}  // namespace

TEST_CASE("fields are renamed, removed, set, added and given defaults, in that order") {
  const Case cases[] = {
      {"{}", before},
      {"{ remove: [X-Debug, x-internal-*] }", "Accept: text/html\r\nCookie: a=b\r\n"},
      {"{ remove: [X-*, Cookie], set: { X-Debug: new } }", "Accept: text/html\r\nX-Debug: new\r\n"},
      {"{ remove: [X-I*, Cookie], set: { x-DEBUG: new } }",
       "Accept: text/html\r\nx-DEBUG: new\r\n"},
      {"{ remove: [X-*, Cookie], add: { Accept: a/b, B: '${request.id}' } }",
       "Accept: text/html\r\nAccept: a/b\r\nB: r-1\r\n"},
      {"{ remove: [X-*, Cookie], default: { accept: a/b, B: b } }",
       "Accept: text/html\r\nB: b\r\n"},
      {"{ remove: [X-*], rename: { Cookie: X-Cookie, Accept: Cookie } }", "Cookie: text/html\r\n"},
      {"{ rename: { X-Debug: X-Internal-A }, remove: [Cookie, Accept, X-Internal-B] }",
       "X-Internal-A: 1\r\nX-Internal-A: 2\r\n"},
      {"{ rename: { Cookie: X-Old }, set: { Cookie: 'was=${header.Cookie}' }, remove: [X-D*, "
       "X-I*] }",
       "Accept: text/html\r\nX-Old: a=b\r\nCookie: was=a=b\r\n"},
      {"{ remove: [X-*, Cookie], set: { B: '', Accept: '  spaced ' } }",
       "Accept: spaced\r\nB: \r\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.rules);
    CHECK(apply(c.rules) == c.expected);
  }
}

TEST_CASE("a value that is missing or cannot stand in a field leaves nothing of the client's") {
  const std::string_view rest = "Accept: text/html\r\n";
  const std::string gone = "remove: [X-*, Cookie]";
  CHECK(apply("{ " + gone + ", set: { Accept: '${header.None}' } }").empty());
  CHECK(apply("{ " + gone + ", set: { Accept: '${path.customer}' } }").empty());
  CHECK(apply("{ " + gone + ", add: { Accept: 'a ${path.customer}' } }") == rest);
  CHECK(apply("{ " + gone + ", default: { B: '${job.id}' } }") == rest);
  CHECK(apply("{ " + gone + ", set: { Accept: '${job.id:-none}' } }") == "Accept: none\r\n");
}

TEST_CASE("a secret that cannot be read stops everything") {
  CHECK(apply("{ set: { Authorization: 'Bearer ${credential:token}' } }") == "! credential:token");
}

TEST_CASE("wildcards pass over what frames a message") {
  CHECK(apply("{ remove: [C*, T*, V*, U*] }",
              "Content-Length: 5\r\nContent-Type: a/b\r\nConnection: close\r\nVia: 1.1 x\r\n"
              "Transfer-Encoding: chunked\r\nUpgrade: x\r\nCookie: a\r\n") ==
        "Content-Length: 5\r\nConnection: close\r\nVia: 1.1 x\r\nTransfer-Encoding: chunked\r\n"
        "Upgrade: x\r\n");
}

TEST_CASE("rules that cannot be are refused where they stand") {
  const Case cases[] = {
      {"{ set: { host: x } }",
       "! x.yaml:5:31: error: routes[0].request_headers.set.host: no rule touches 'Host': write "
       "'rewrite: { host: ... }'\n"},
      {"{ rename: { A: Content-Length } }",
       "! x.yaml:5:37: error: routes[0].request_headers.rename.A: 'Content-Length' frames messages "
       "or belongs to one connection: it is written anew and no rule touches it\n"},
      {"{ remove: ['*'] }",
       "! x.yaml:5:33: error: routes[0].request_headers.remove[0]: '*' alone would remove every "
       "field: name them, or how they begin\n"},
      {"{ remove: ['X-*-Y'] }",
       "! x.yaml:5:33: error: routes[0].request_headers.remove[0]: 'X-*-Y': '*' stands at "
       "the end, for all that begin so\n"},
      {"{ set: { X-A: a, x-a: b } }",
       "! x.yaml:5:39: error: routes[0].request_headers.set.x-a: 'x-a' is here twice: first at "
       "x.yaml:5:31\n"},
      {"{ set: { X-A: [a] } }",
       "! x.yaml:5:36: error: routes[0].request_headers.set.X-A: must be a single value, not a "
       "list\n"},
      {"{ add: { X-A: \"a\\r\\nX-B: b\" } }",
       "! x.yaml:5:36: error: routes[0].request_headers.add.X-A: must not hold control "
       "characters\n"},
      {"{ set: { X-A: '${path.custmer}' } }",
       "! request_headers.set.X-A: the route's path has no parameter 'custmer'; did you mean "
       "'customer'?"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.rules);
    CHECK(apply(c.rules) == c.expected);
  }
  for (const char* name : {"connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Via",
                           "Upgrade", "Expect", "Proxy-Connection", "Proxy-Authorization"}) {
    CAPTURE(name);
    for (const std::string verb : {"set", "add", "default"}) {
      CHECK(apply("{ " + verb + ": { " + name + ": x } }").find("no rule touches it") !=
            std::string::npos);
    }
    CHECK(apply("{ remove: [" + std::string(name) + "] }").find("no rule touches it") !=
          std::string::npos);
  }
}
