#include "config/load.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/config/support.hpp"

using namespace raincheck::config;
using namespace raincheck::config::tests;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view smallest =
    "upstreams:\n"
    "  legacy: http://127.0.0.1:8081\n"
    "routes:\n"
    "  - match: POST /reports/*\n"
    "    upstream: legacy\n"
    "default_upstream: legacy\n";

// A good file with lines added.
std::string with(std::string_view lines) {
  return std::string(smallest) + std::string(lines);
}

// A good file whose route has a line of its own, at line 6.
std::string route_with(std::string_view line) {
  return "upstreams:\n  a: http://a\nroutes:\n  - match: /x\n    upstream: a\n    " +
         std::string(line) + "\n";
}

constexpr std::string_view many_settings =
    "version: 1\n"
    "public_url: https://api.example.com/base\n"
    "listeners:\n"
    "  - { address: '[::]:0', timeouts: { header: 1m }, limits: { body: 1GiB, header_count: 7 } "
    "}\n"
    "  - { name: second, address: unix:/run/x.sock }\n"
    "trusted_proxies: []\n"
    "log: { level: warn, format: json }\n"
    "access_log: { output: none, exclude_paths: [/healthz] }\n"
    "upstreams:\n"
    "  b:\n"
    "    servers: [http://a, { url: 'http://[::1]:81', weight: 3, max_concurrency: 2 }]\n"
    "    timeouts: { first_byte: 10s, idle: 0s }\n"
    "    on_abort: drain\n"
    "    abort_hold: 2h\n"
    "    lb_policy: hash\n"
    "    hash_key: ${cookie.A}\n"
    "    health_check: { path: '/h?x', rise: 5, status: [200, 204-206] }\n"
    "    outlier_detection: { consecutive_errors: 0, ejection_time: 1m }\n"
    "routes:\n"
    "  - name: n\n"
    "    match: { methods: [GET, HEAD], path: '/x/{y}' }\n"
    "    upstream: b\n"
    "    async:\n"
    "      mode: prefer\n"
    "      wait: 2s\n"
    "      dialect: location\n"
    "      redirect_status: 303\n"
    "      success: { status: [200-299, 304] }\n"
    "      priority: low\n"
    "      queue_timeout: 1h\n"
    "      idempotency_key: { required: true }\n"
    "      retention: { result: 1d }\n"
    "    retry: { max_attempts: 1, on: [timeout, 500] }\n"
    "    limits: { body: 1KB }\n";

}  // namespace

TEST_CASE("six lines are a configuration") {
  const Loaded loaded = load_alone(smallest);
  CHECK(complaints(loaded) == "");
  REQUIRE(loaded.ok);
  const Config& config = loaded.config;
  REQUIRE(config.upstreams.size() == 1);
  CHECK(config.upstreams[0].name == "legacy");
  CHECK(config.upstreams[0].place.line == 2);
  REQUIRE(config.upstreams[0].servers.size() == 1);
  const Server& server = config.upstreams[0].servers[0];
  CHECK(server.host == "127.0.0.1");
  CHECK(server.port == 8081);
  CHECK(server.authority == "127.0.0.1:8081");
  CHECK(server.place.line == 2);
  REQUIRE(config.routes.size() == 1);
  CHECK(config.routes[0].name == "POST /reports/*");
  CHECK(config.routes[0].match.methods == std::vector<std::string>{"POST"});
  CHECK(config.routes[0].match.path == "/reports/*");
  CHECK(config.routes[0].place.line == 4);
  CHECK(config.routes[0].place.column == 5);
  REQUIRE(config.listeners.size() == 1);
  CHECK(config.listeners[0].name == "127.0.0.1:8080");
  CHECK(config.store.directory == "./raincheck-data");
}

TEST_CASE("every kind of setting is read") {
  const Loaded loaded = load_alone(many_settings);
  CHECK(complaints(loaded) == "");
  const Config& config = loaded.config;
  CHECK(config.public_url == "https://api.example.com/base");
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0].timeouts.header == 60s);
  CHECK(config.listeners[0].timeouts.body == 60s);
  CHECK(config.listeners[0].limits.body == gib);
  CHECK(config.listeners[0].limits.header_count == 7);
  CHECK(config.listeners[1].name == "second");
  CHECK(config.trusted_proxies.empty());
  CHECK(config.log.level == LogLevel::warn);
  CHECK(config.access_log.output == AccessOutput::none);
  const Upstream& upstream = config.upstreams.at(0);
  CHECK(upstream.servers.at(1).host == "::1");
  CHECK(upstream.servers.at(1).authority == "[::1]:81");
  CHECK(upstream.servers.at(1).weight == 3);
  CHECK(upstream.servers.at(1).max_concurrency == 2);
  CHECK(upstream.timeouts.first_byte == 10s);
  CHECK(upstream.timeouts.idle == 0s);
  CHECK(upstream.on_abort == OnAbort::drain);
  CHECK(upstream.abort_hold == 2h);
  CHECK(upstream.lb_policy == LbPolicy::hash);
  REQUIRE(upstream.hash_key);
  CHECK(upstream.hash_key->written == "${cookie.A}");
  CHECK(upstream.health_check.path == "/h?x");
  CHECK(upstream.health_check.rise == 5);
  CHECK(upstream.health_check.fall == 3);
  CHECK(upstream.health_check.status.at(1).last == 206);
  CHECK(upstream.outlier_detection.consecutive_errors == 0);
  CHECK(upstream.outlier_detection.ejection_time == 1min);
  CHECK(upstream.outlier_detection.max_ejected_percent == 50);
  const Route& route = config.routes.at(0);
  CHECK(route.name == "n");
  CHECK(route.match.methods.size() == 2);
  CHECK(route.async.mode == Mode::prefer);
  CHECK(route.async.wait == 2s);
  CHECK(route.async.pending_status == 202);
  CHECK(route.async.completion == Completion::inline_);
  CHECK(route.async.redirect_status == 303);
  REQUIRE(route.async.success.status.size() == 2);
  CHECK(route.async.success.status[1].first == 304);
  CHECK(route.async.priority == Priority::low);
  CHECK(route.async.queue_timeout == 1h);
  CHECK(route.async.idempotency_key.required);
  CHECK(route.async.retention_result == 24h);
  CHECK(route.retry.max_attempts == 1);
  CHECK(route.retry.on_timeout);
  CHECK_FALSE(route.retry.on_connect_failure);
  CHECK(route.retry.on_status == std::vector<int>{500});
  CHECK(route.limits.body == 1000);
}

TEST_CASE("rules for requests, answers and bodies go where they belong") {
  const Loaded loaded =
      load_text("dir/x.yaml",
                "upstreams: { a: http://a }\n"
                "routes:\n"
                "  - match: /x\n"
                "    upstream: a\n"
                "    async: { success: { content_types: [text/*], body_matches: a, "
                "body_excludes: b, json: { /a: [1, 'x', null, yes, '2', 0.10] } } }\n"
                "    validate:\n"
                "      content_types: [a/b]\n"
                "      headers: { X-A: required, X-B: '[a]', X-C: { required: true, "
                "pattern: c } }\n"
                "      query: { 'q[]': '1' }\n"
                "      json_schema: s.json\n"
                "    response_body:\n"
                "      max_size: 2KiB\n      on_failure: refuse\n"
                "      merge_patch: null\n"
                "      json_patch:\n"
                "        - { op: test, path: '', value: {} }\n"
                "        - { op: copy, from: /a, path: /b, optional: true }\n"
                "      replace: [{ from: x, to: '' }]\n",
                Environment::empty());
  CHECK(complaints(loaded) == "");
  const Route& route = loaded.config.routes.at(0);
  const Success& success = route.async.success;
  CHECK(success.content_types == std::vector<std::string>{"text/*"});
  CHECK(success.body_matches == "a");
  CHECK(success.body_excludes == "b");
  CHECK(success.json == R"({"/a":[1,"x",null,"yes","2",0.10]})");
  REQUIRE(route.validate.headers.size() == 3);
  CHECK(route.validate.headers[0].required);
  CHECK(route.validate.headers[1].pattern == "[a]");
  CHECK_FALSE(route.validate.headers[1].required);
  CHECK(route.validate.headers[2].required);
  CHECK(route.validate.headers[2].pattern == "c");
  CHECK(route.validate.query.at(0).name == "q[]");
  CHECK(route.validate.json_schema == "dir/s.json");
  CHECK(route.validate.json_schema_place.line == 10);
  CHECK(route.response_body.max_size == 2048);
  CHECK(route.response_body.on_failure == OnFailure::refuse);
  CHECK(route.response_body.merge_patch.json == "null");
  REQUIRE(route.response_body.json_patch.size() == 2);
  CHECK(route.response_body.json_patch[0].op == PatchOp::test);
  CHECK(route.response_body.json_patch[0].value.json == "{}");
  CHECK(route.response_body.json_patch[1].optional);
  CHECK(route.response_body.json_patch[1].from == "/a");
  CHECK(route.response_body.replace.at(0).from == "x");
}

TEST_CASE("texts of bodies keep what a request has to say") {
  Environment environment = Environment::empty();
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "COUNT") return "5";
    return std::nullopt;
  };
  const Loaded loaded =
      load_text("x.yaml",
                "upstreams: { a: http://a }\n"
                "routes:\n"
                "  - match: /x\n"
                "    upstream: a\n"
                "    response_body:\n"
                "      merge_patch: { n: '${COUNT}', s: 'n${COUNT}', v: '${header.X-A}', lit: "
                "'$${header.X-A}', quoted: '7', bare: 7, '${no}': [a] }\n"
                "      replace: [{ from: '${COUNT}', to: '${COUNT}:${query.a:-b}' }]\n",
                environment);
  CHECK(complaints(loaded) == "");
  const BodyRules& rules = loaded.config.routes.at(0).response_body;
  CHECK(rules.merge_patch.json == R"({"n":5,"s":"n5","v":"${header.X-A}","lit":"${header.X-A}",)"
                                  R"("quoted":"7","bare":7,"${no}":["a"]})");
  const auto& strings = rules.merge_patch.strings;
  REQUIRE(strings.size() == 5);
  CHECK(strings[0].parts.at(0).text == "n5");
  CHECK(strings[1].parts.at(0).is_name);
  CHECK(strings[1].parts.at(0).text == "header.X-A");
  CHECK(strings[1].place.line == 6);
  CHECK_FALSE(strings[2].parts.at(0).is_name);
  CHECK(strings[2].parts.at(0).text == "${header.X-A}");
  CHECK(strings[3].parts.at(0).text == "7");
  CHECK(strings[4].parts.at(0).text == "a");
  CHECK(rules.replace.at(0).from == "5");
  REQUIRE(rules.replace.at(0).to.parts.size() == 2);
  CHECK(rules.replace.at(0).to.parts[0].text == "5:");
  CHECK(rules.replace.at(0).to.parts[1].text == "query.a:-b");
}

TEST_CASE("a route's own lists stand in place of those that are its defaults") {
  const Loaded loaded = load_alone(
      "defaults:\n"
      "  route:\n"
      "    upstream: a\n"
      "    validate: { headers: { X-A: required, X-B: required } }\n"
      "    response_body: { max_size: 5KiB, replace: [{ from: a, to: b }, { from: c, to: d }] }\n"
      "upstreams: { a: http://a }\n"
      "routes:\n"
      "  - match: /x\n"
      "  - match: /y\n"
      "    validate: { headers: { X-B: b } }\n"
      "    response_body: { replace: [{ from: a, to: e }] }\n");
  CHECK(complaints(loaded) == "");
  const Route& first = loaded.config.routes.at(0);
  CHECK(first.validate.headers.size() == 2);
  CHECK(first.response_body.replace.size() == 2);
  const Route& second = loaded.config.routes.at(1);
  REQUIRE(second.validate.headers.size() == 1);
  CHECK_FALSE(second.validate.headers[0].required);
  REQUIRE(second.response_body.replace.size() == 1);
  CHECK(second.response_body.replace[0].to.written == "e");
  CHECK(second.response_body.max_size == 5 * kib);
}

TEST_CASE("upstreams and routes begin as the defaults, and change only what they say") {
  const Loaded loaded = load_alone(
      "defaults:\n"
      "  upstream: { max_concurrency: 3, timeouts: { connect: 1s } }\n"
      "  route: { upstream: a, async: { dialect: location, wait: 5s }, retry: { on: [] } }\n"
      "upstreams:\n"
      "  a: http://a\n"
      "  b: { servers: [http://b], timeouts: { attempt: 2h } }\n"
      "routes:\n"
      "  - match: /x\n"
      "  - { match: /y, upstream: b, async: { pending_status: 200 } }\n");
  CHECK(complaints(loaded) == "");
  CHECK(loaded.config.upstreams.at(0).max_concurrency == 3);
  CHECK(loaded.config.upstreams.at(1).timeouts.connect == 1s);
  CHECK(loaded.config.upstreams.at(1).timeouts.attempt == 2h);
  CHECK(loaded.config.routes.at(0).upstream == "a");
  CHECK(loaded.config.routes.at(0).async.pending_status == 202);
  CHECK_FALSE(loaded.config.routes.at(0).retry.on_connect_failure);
  CHECK(loaded.config.routes.at(1).upstream == "b");
  CHECK(loaded.config.routes.at(1).async.pending_status == 200);
  CHECK(loaded.config.routes.at(1).async.completion == Completion::inline_);
  CHECK(loaded.config.routes.at(1).async.wait == 5s);
}

TEST_CASE("all mistakes of a file are told, in its order") {
  const Loaded loaded = load_alone(
      "version: 2\n"
      "listners: []\n"
      "upstreams:\n"
      "  a: { servers: [http://a/x], timeouts: { conect: 5s } }\n"
      "routes:\n"
      "  - match: get /x\n"
      "    upstream: b\n"
      "  - {}\n"
      "  - foo\n"
      "tls: {}\n");
  CHECK(
      complaints(loaded) ==
      "x.yaml:1:10: error: version: must be 1, not '2'\n"
      "x.yaml:2:1: error: listners: unknown key 'listners'; did you mean 'listeners'?\n"
      "x.yaml:4:18: error: upstreams.a.servers[0]: 'http://a/x' has a path, which a server cannot "
      "have: '/x'; a server is http://host:port or https://host:port\n"
      "x.yaml:4:43: error: upstreams.a.timeouts.conect: unknown key 'conect'; did you mean "
      "'connect'?\n"
      "x.yaml:6:12: error: routes[0].match: methods are written in capitals: 'GET', not 'get'\n"
      "x.yaml:7:15: error: routes[0].upstream: there is no upstream 'b'; did you mean 'a'?\n"
      "x.yaml:8:5: error: routes[1].match: is required\n"
      "x.yaml:8:5: error: routes[1].upstream: is required\n"
      "x.yaml:9:5: error: routes[2]: must be a map of 'key: value'\n"
      "x.yaml:10:1: error: tls: unknown key 'tls'; it belongs to 'listeners[]' or 'upstreams.*'\n");
}

TEST_CASE("a message shows the line and points at the place") {
  const Loaded loaded = load_alone(route_with("upsteam: a"));
  CHECK(format(loaded) ==
        "x.yaml:6:5: error: routes[0].upsteam: unknown key 'upsteam'; did you mean 'upstream'?\n"
        "    6 |     upsteam: a\n"
        "      |     ^~~~~~~\n");
  Loaded later;
  later.sources["y.yaml"] = "a: 'b c'\n";
  later.ok = true;
  later.refuse({"y.yaml", 1, 4}, "a", "is wrong");
  CHECK_FALSE(later.ok);
  CHECK(format(later) == "y.yaml:1:4: error: a: is wrong\n    1 | a: 'b c'\n      |    ^~~~~\n");
  CHECK(format(Diagnostic{{"z.yaml", 0, 0}, "", "the file cannot be read", ""}) ==
        "z.yaml: error: the file cannot be read");
}

TEST_CASE("what can never serve is warned of") {
  CHECK(complaints(load_alone("upstreams: {a: http://a}\n")) ==
        "raincheck: warning: no routes and no default_upstream: every request gets 404\n");
  const Loaded loaded =
      load_alone("upstreams: {a: http://a}\nroutes:\n  - {match: /_jobs/*, upstream: a}\n");
  CHECK(complaints(loaded) ==
        "x.yaml:3:13: warning: routes[0].match: is never reached: jobs.base_path is '/_jobs'\n");
  CHECK(loaded.ok);
}

TEST_CASE("a secret never stands in a message") {
  Environment environment = Environment::empty();
  environment.file = [](const std::string&) { return "hunter2"; };
  const Loaded loaded = load_text("x.yaml", with("log: { level: \"${file:/s}\" }\n"), environment);
  CHECK(complaints(loaded) ==
        "x.yaml:7:15: error: log.level: what '${file:/s}' holds is not valid here\n");
  CHECK(format(loaded).find("hunter2") == std::string::npos);
}

TEST_CASE("interpolated values are read like written ones") {
  Environment environment = Environment::empty();
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "STATE_DIRECTORY") return "/var/lib/raincheck:/var/lib/other";
    return name == "FLAG" ? "true" : "5";
  };
  const Loaded loaded = load_text(
      "x.yaml",
      route_with("async: { wait: \"${N}s\", idempotency_key: { required: \"${FLAG}\" } }"),
      environment);
  CHECK(complaints(loaded) == "");
  CHECK(loaded.config.routes.at(0).async.wait == 5s);
  CHECK(loaded.config.routes.at(0).async.idempotency_key.required);
  CHECK(loaded.config.store.directory == "/var/lib/raincheck");
}

namespace {

// A world of a few files; `*` in a pattern stands for anything.
Environment files(const std::map<std::string, std::string>& all) {
  Environment environment = Environment::empty();
  environment.file = [all](const std::string& path) -> std::optional<std::string> {
    const auto found = all.find(path);
    if (found == all.end()) return std::nullopt;
    return found->second;
  };
  environment.glob = [all](const std::string& pattern) {
    std::vector<std::string> found;
    const std::string start = pattern.substr(0, pattern.find('*'));
    const bool is_open = start.size() < pattern.size();
    for (const auto& [path, text] : all) {
      if (is_open ? path.compare(0, start.size(), start) == 0 : path == pattern) {
        found.push_back(path);
      }
    }
    return found;
  };
  return environment;
}

}  // namespace

TEST_CASE("included files add upstreams and routes, in the order of their names") {
  const Environment world = files({
      {"/etc/r/main.yaml",
       "include: [conf.d/*.yaml, /opt/more.yaml]\n"
       "defaults: { upstream: { max_concurrency: 2 } }\n"
       "upstreams: { a: http://a }\nroutes: [{ match: /a, upstream: b }]\n"},
      {"/etc/r/conf.d/10.yaml",
       "upstreams: { b: http://b }\nroutes: [{ match: /b, upstream: a }]\n"},
      {"/etc/r/conf.d/20.yaml", "routes:\n  - { match: /c, upstream: d }\n"},
      {"/opt/more.yaml", "upstreams: { d: http://d }\n"},
  });
  const Loaded loaded = load("/etc/r/main.yaml", world);
  CHECK(complaints(loaded) == "");
  REQUIRE(loaded.config.upstreams.size() == 3);
  CHECK(loaded.config.upstreams[1].name == "b");
  CHECK(loaded.config.upstreams[1].max_concurrency == 2);
  REQUIRE(loaded.config.routes.size() == 3);
  CHECK(loaded.config.routes[2].match.path == "/c");
  CHECK(loaded.config.routes[2].place.file == "/etc/r/conf.d/20.yaml");
}

TEST_CASE("mistakes of included files are told with their own places") {
  const Environment world = files({
      {"/r/main.yaml", "include: [c/*, none.yaml, /r/main.yaml]\nupstreams: { a: http://a }\n"},
      {"/r/c/1", "upstreams: { a: http://b }\nlog: {}\ninclude: [x]\n"},
      {"/r/c/2", ""},
      {"/r/c/3", "routes: [{ match: /x, upstream: aa, nam: x }]\n"},
  });
  CHECK(complaints(load("/r/main.yaml", world)) ==
        "/r/main.yaml:1:16: error: include[1]: there is no file 'none.yaml'\n"
        "/r/main.yaml:1:27: error: include[2]: '/r/main.yaml' would be read twice\n"
        "/r/c/1:1:14: error: upstreams.a: 'a' is here twice: first at /r/main.yaml:2:14\n"
        "/r/c/1:2:1: error: log: unknown key 'log'; it belongs to the top level of the main file\n"
        "/r/c/1:3:1: error: include: unknown key 'include'; it belongs to the top level of the "
        "main file\n"
        "/r/c/2:1:1: error: the file is empty\n"
        "/r/c/3:1:33: error: routes[0].upstream: there is no upstream 'aa'; did you mean 'a'?\n"
        "/r/c/3:1:37: error: routes[0].nam: unknown key 'nam'; did you mean 'name'?\n");
}

TEST_CASE("the real world has files, patterns and variables") {
  namespace fs = std::filesystem;
  std::string directory = fs::temp_directory_path() / "raincheck-XXXXXX";
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  fs::create_directory(directory + "/conf.d");
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  write("main.yaml", "include: [conf.d/*.yaml]\nupstreams: { a: http://a }\n");
  write("conf.d/2.yaml", "routes: [{ match: /2, upstream: a, name: \"${RAINCHECK_NONE:-n}\" }]\n");
  write("conf.d/1.yaml", "routes: [{ match: /1, upstream: a }]\n");
  write("conf.d/3.yaml.off", "nonsense");
  const Loaded loaded = load(directory + "/main.yaml");
  const Loaded none = load(directory + "/conf.d");
  fs::remove_all(directory);
  CHECK(complaints(loaded) == "");
  REQUIRE(loaded.config.routes.size() == 2);
  CHECK(loaded.config.routes[0].match.path == "/1");
  CHECK(loaded.config.routes[1].name == "n");
  CHECK_FALSE(none.ok);
}

TEST_CASE("a file that cannot be read is an error") {
  const Loaded loaded = load("/none", Environment::empty());
  CHECK_FALSE(loaded.ok);
  CHECK(complaints(loaded) == "/none: error: the file cannot be read: No such file or directory\n");
}

TEST_CASE("a thousand problems are told, and how many there are beyond") {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  CHECK(load_alone(text).diagnostics.size() == 1'000);
  const Loaded loaded = load_alone(text + "more: 1\neven_more: 1\n");
  REQUIRE(loaded.diagnostics.size() == 1'001);
  CHECK(loaded.diagnostics[999].path == "k999");
  CHECK(loaded.diagnostics[1'000].message == "2 more problems");
}

TEST_CASE("ten thousand routes load") {
  std::string text = "upstreams: { a: http://a }\nroutes:\n";
  for (int i = 0; i < 10'000; ++i) {
    text +=
        "  - match: POST /r" + std::to_string(i) + "/*\n    upstream: a\n    async: { wait: 2s }\n";
  }
  const Loaded loaded = load_alone(text);
  CHECK(loaded.ok);
  CHECK(loaded.config.routes.size() == 10'000);
}

TEST_CASE("an upstream takes no more calls than its servers allow together") {
  const auto limit = [](const std::string& servers, const std::string& max_concurrency) {
    const Loaded loaded = load_alone("upstreams: { a: { max_concurrency: " + max_concurrency +
                                     ", servers: [" + servers + "] } }\ndefault_upstream: a\n");
    REQUIRE_MESSAGE(loaded.ok, complaints(loaded));
    return loaded.config.upstreams.at(0).max_concurrency;
  };
  CHECK(limit("{ url: 'http://a', max_concurrency: 2 }, { url: 'http://b', max_concurrency: 3 }",
              "8") == 5);
  CHECK(limit("{ url: 'http://a', max_concurrency: 2 }, { url: 'http://b', max_concurrency: 3 }",
              "4") == 4);
  CHECK(limit("{ url: 'http://a', max_concurrency: 2 }, http://b", "8") == 8);
}
