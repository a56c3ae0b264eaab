#include "routes/template.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/interpolate.hpp"

using namespace raincheck::routes;

namespace {

std::optional<std::string> read_file(const std::string& path) {
  if (path == "/run/cred/token") return "s3cret\n";
  if (path == "/run/cred/gone") return "";
  return std::nullopt;
}

raincheck::config::Environment environment() {
  auto out = raincheck::config::Environment::empty();
  out.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "CREDENTIALS_DIRECTORY") return "/run/cred";
    if (name == "DOLLAR") return "$";
    if (name == "BRACES") return "{path.customer}";
    return std::nullopt;
  };
  out.file = read_file;
  return out;
}

// As a configuration is loaded.
Template compile(std::string_view text, const Scope& scope, std::string& why) {
  const auto read = raincheck::config::interpolate_template(text, environment());
  why = read.problem;
  return why.empty() ? Template::compile(read.text, scope, why) : Template();
}

// A request that matched /reports/{customer}/{rest...}, and what it brings.
class World {
 public:
  World() {
    std::string why;
    pattern_ = PathPattern::parse("/reports/{customer}/{rest...}", why);
    values.target =
        *normalize("/reports/a%20b,c&d/x/y%3Fz?q=1+2%26&plus=%2B&empty&q=9", buffer_, why_);
    fields_.push_back({"X-Tenant", "acme"});
    fields_.push_back({"Accept", "a/b"});
    fields_.push_back({"accept", "c/d"});
    fields_.push_back({"Cookie", "SESSION=abc=; theme=dark"});
    fields_.push_back({"cookie", "b=2"});
    fields_.push_back({"X-Empty", ""});
    values.method = "POST";
    values.scheme = "https";
    values.host = "api.example.com:8443";
    values.pattern = &pattern_;
    values.fields = &fields_;
    values.client_address = "10.1.2.3";
    values.request_id = "r-1";
    values.route_name = "create report";
    secret_ = [](std::string_view reference) -> std::optional<std::string> {
      if (reference == "credential:gone") return std::nullopt;
      return raincheck::config::read_secret(reference, environment());
    };
    values.secret = &secret_;
  }

  Scope scope() const { return {&pattern_, true}; }

  // The text, or "! " and what is wrong.
  std::string render(std::string_view text, Form form) const {
    std::string why;
    const Template compiled = compile(text, scope(), why);
    if (!why.empty()) return "! " + why;
    std::string out = "before ";
    const Rendering rendering = compiled.render(values, form, out);
    if (rendering) return out.substr(7);
    CHECK(out == "before ");
    const char* const outcomes[] = {"done", "missing", "not allowed", "unreadable"};
    return "! " + std::string(outcomes[static_cast<int>(rendering.outcome)]) + ": " +
           std::string(rendering.name);
  }

  Values values;

 private:
  PathPattern pattern_;
  Fields fields_;
  std::string buffer_;
  std::string_view why_;
  std::function<std::optional<std::string>(std::string_view)> secret_;
};

struct Case {
  std::string_view text;
  std::string_view expected;
};

}  // namespace

TEST_CASE("names in a text become what the request has") {
  const Case cases[] = {
      {"", ""},
      {"plain $ text } {", "plain $ text } {"},
      {"$${path.customer}", "${path.customer}"},
      {"a$${b}c${request.method}d", "a${b}cPOSTd"},
      {"${request.scheme}://${request.host}", "https://api.example.com:8443"},
      {"${request.path}", "/reports/a%20b,c&d/x/y%3Fz"},
      {"${request.query}", "q=1+2%26&plus=%2B&empty&q=9"},
      {"${request.target}", "/reports/a%20b,c&d/x/y%3Fz?q=1+2%26&plus=%2B&empty&q=9"},
      {"${request.url}",
       "https://api.example.com:8443/reports/a%20b,c&d/x/y%3Fz?q=1+2%26&plus=%2B&empty&q=9"},
      {"${request.id} ${client.address} ${route.name}", "r-1 10.1.2.3 create report"},
      {"${path.customer}", "a b,c&d"},
      {"${path.rest}", "x/y?z"},
      {"${query.q}", "1 2&"},
      {"${query.plus}", "+"},
      {"[${query.empty}]", "[]"},
      {"${query.empty:-full}", "full"},
      {"${header.x-tenant}", "acme"},
      {"${header.Accept}", "a/b, c/d"},
      {"[${header.X-Empty}]", "[]"},
      {"${cookie.SESSION}/${cookie.theme}/${cookie.b}", "abc=/dark/2"},
      {"Bearer ${credential:token}", "Bearer s3cret"},
      {"${job.id:-none}", "none"},
      {"${job.id:-}", ""},
      {"${header.None:-a:-b ${path.customer}", "a:-b ${path.customer"},
      {"${header.None}", "! missing: header.None"},
      {"x${cookie.session}", "! missing: cookie.session"},
      {"${query.none}", "! missing: query.none"},
      {"${job.id}", "! missing: job.id"},
      {"${public_url}", "! missing: public_url"},
      {"${credential:gone}", "! unreadable: credential:gone"},
      {"${DOLLAR}${BRACES} ${DOLLAR}{path.customer}", "${path.customer} ${path.customer}"},
      {"${DOLLAR}${path.customer}", "$a b,c&d"},
  };
  const World world;
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(world.render(c.text, Form::text) == c.expected);
  }
}

TEST_CASE("the public URL stands for what the client saw, where it is configured") {
  World world;
  world.values.public_url = "https://example.com/api";
  CHECK(world.render("${public_url}/x", Form::text) == "https://example.com/api/x");
  CHECK(world.render("${request.url}", Form::text).starts_with("https://example.com/api/reports/"));
  world.values.public_url = "";
  world.values.host = "";
  CHECK(world.render("${request.url}", Form::text) == "! missing: request.url");
}

TEST_CASE("no control character gets into a field") {
  World world;
  std::string buffer;
  std::string_view why;
  for (const std::string_view bad : {"%0D", "%0A", "%01", "%7F", "%1b"}) {
    const std::string target = "/reports/x" + std::string(bad) + "/?q=" + std::string(bad);
    world.values.target = *normalize(target, buffer, why);
    CAPTURE(target);
    CHECK(world.render("${path.customer}", Form::field) == "! not allowed: path.customer");
    CHECK(world.render("a ${query.q}", Form::field) == "! not allowed: query.q");
    CHECK(world.render("${path.customer}", Form::url) == world.values.target.path.substr(9, 4));
  }
  world.values.target = *normalize("/reports/x?q=%00", buffer, why);
  CHECK(world.render("${query.q}", Form::field) == "! not allowed: query.q");
  world.values.target = *normalize("/reports/%C3%A9%09", buffer, why);
  CHECK(world.render("${path.customer}", Form::field) == "\xC3\xA9\t");
}

TEST_CASE("a value keeps its meaning in a URL and cannot end its part") {
  const Case cases[] = {
      {"/new/${path.rest}", "/new/x/y%3Fz"},
      {"/new/${path.customer}/x", "/new/a%20b,c&d/x"},
      {"/cgi?c=${path.customer}&r=${path.rest}", "/cgi?c=a%20b%2Cc%26d&r=x%2Fy%3Fz"},
      {"/cgi?q=${query.q}&p=${query.plus}", "/cgi?q=1%202%26&p=%2B"},
      {"/cgi/${query.q}", "/cgi/1%202%26"},
      {"/old${request.path}", "/old/reports/a%20b,c&d/x/y%3Fz"},
      {"/cgi?a=b&${request.query}", "/cgi?a=b&q=1+2%26&plus=%2B&empty&q=9"},
      {"/cgi/${request.query}", "/cgi/q%3D1%2B2%2526%26plus%3D%252B%26empty%26q%3D9"},
      {"/in?back=${request.path}", "/in?back=%2Freports%2Fa%2520b%2Cc%26d%2Fx%2Fy%253Fz"},
      {"/in?from=${header.Accept:-?}", "/in?from=a%2Fb%2C%20c%2Fd"},
      {"/in?from=${header.None:-?&}", "/in?from=%3F%26"},
  };
  const World world;
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(world.render(c.text, Form::url) == c.expected);
  }
}

TEST_CASE("what cannot be a value is refused when the text is compiled") {
  const Case cases[] = {
      {"${request.hots}", "! '${request.hots}' is not known; did you mean '${request.host}'?"},
      {"${heder.X-A}", "! '${heder.X-A}' is not known; did you mean '${header.X-A}'?"},
      {"${elephant}", "! the environment variable 'elephant' is not set"},
      {"${credential:elephant}",
       "! '${credential:elephant}' cannot be read: '/run/cred/elephant': No such file or "
       "directory"},
      {"${a.b.c}", "! '${a.b.c}' is not known"},
      {"${}", "! '${}' is not known"},
      {"${env.HOME}",
       "! '${env.HOME}' is not known; write the environment variable alone: '${HOME}'"},
      {"${client.certificate.subjct}",
       "! a certificate has no '${client.certificate.subjct}'; did you mean 'subject'?"},
      {"${client.certificate.age}",
       "! a certificate has no '${client.certificate.age}'; it has 'subject', 'issuer', 'serial', "
       "'fingerprint' or 'san'"},
      {"${client.certificate.issuer}", "! missing: client.certificate.issuer"},
      {"${path.custmer}",
       "! the route's path has no parameter 'custmer'; did you mean 'customer'?"},
      {"${path.elephant}",
       "! the route's path has no parameter 'elephant'; it has 'customer' or 'rest'"},
      {"${header.}", "! '${header.}' names nothing"},
      {"${header.a b}", "! '${header.a b}': 'a b' is not a name"},
      {"${request.host", "! '${' without '}'"},
  };
  const World world;
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(world.render(c.text, Form::text) == c.expected);
  }
  std::string why;
  (void)compile("${credential:token}", Scope{}, why);
  CHECK(why == "'${credential:token}' is a secret and cannot be used here");
  (void)compile("${path.x}", Scope{}, why);
  CHECK(why == "'${path.x}' cannot be used here: it belongs to a route");
}

TEST_CASE("the client's certificate has its own fields, which no header can stand for") {
  World world;
  CHECK(world.render("${client.certificate.subject:-nobody}", Form::text) == "nobody");
  Fields certificate;
  certificate.assign("subject: CN=Ada\\, C.\r\nfingerprint: 00ff\r\n");
  world.values.certificate = &certificate;
  CHECK(world.render("${client.certificate.subject}/${client.certificate.fingerprint}",
                     Form::field) == "CN=Ada\\, C./00ff");
  CHECK(world.render("${client.certificate.san:-none}", Form::text) == "none");
}

TEST_CASE("the rest of a prefix has the name *") {
  std::string why;
  const PathPattern pattern = PathPattern::parse("/a/{b}/*", why);
  const Template rest = compile("${path.b}:${path.*}", Scope{&pattern}, why);
  REQUIRE(why.empty());
  const Case cases[] = {{"/a/x/y/z", "x:y/z"}, {"/a/x/", "x:"}, {"/a/x", "x:"}};
  for (const Case& c : cases) {
    Values values;
    values.pattern = &pattern;
    values.target.path = c.text;
    std::string out;
    CHECK(rest.render(values, Form::text, out));
    CHECK(out == c.expected);
  }
}

TEST_CASE("a text knows whether it depends on the request and whether it holds a secret") {
  std::string why;
  const Scope scope{nullptr, true};
  CHECK(compile("", scope, why).is_constant());
  CHECK(compile("a$${b}${DOLLAR}", scope, why).is_constant());
  CHECK_FALSE(compile("a${request.id}", scope, why).is_constant());
  CHECK_FALSE(compile("${request.id}", scope, why).has_secret());
  CHECK(compile("x${credential:token}", scope, why).has_secret());
  CHECK(why.empty());
}

TEST_CASE("a value longer than 64 KiB is not put in") {
  World world;
  const std::string longest(std::size_t{64} * 1024, 'x');
  world.values.request_id = longest;
  CHECK(world.render("${request.id}", Form::text) == longest);
  CHECK(world.render("-${request.id}", Form::text) == "! not allowed: request.id");
}
