#include "config/schema.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "config/keys.hpp"
#include "config/yaml.hpp"
#include "tests/config/support.hpp"

using namespace raincheck::config;
using namespace raincheck::config::tests;

namespace {

// As an editor reads YAML: unquoted words that look like numbers or booleans are such.
boost::json::value to_json(const yaml::Value& value) {
  switch (value.kind) {
    case yaml::Kind::null:
      return nullptr;
    case yaml::Kind::list: {
      boost::json::array out;
      for (const yaml::Value& item : value.items) out.push_back(to_json(item));
      return out;
    }
    case yaml::Kind::map: {
      boost::json::object out;
      for (const auto& [key, inner] : value.entries) out[key.text] = to_json(inner);
      return out;
    }
    case yaml::Kind::scalar:
      break;
  }
  if (value.is_quoted) return boost::json::string(value.text);
  if (value.text == "true" || value.text == "false") return value.text == "true";
  const bool is_number = !value.text.empty() && value.text.size() < 18 &&
                         value.text.find_first_not_of("0123456789") == std::string::npos;
  if (is_number) return std::stoll(value.text);
  return boost::json::string(value.text);
}

class Schema {
 public:
  Schema() {
    const boost::json::value json = boost::json::parse(schema_json());
    const valijson::adapters::BoostJsonAdapter adapter(json);
    valijson::SchemaParser().populateSchema(adapter, schema_);
  }

  bool accepts(std::string_view text) const {
    const boost::json::value json = to_json(yaml::parse("x.yaml", text).root);
    const valijson::adapters::BoostJsonAdapter adapter(json);
    return valijson::Validator().validate(schema_, adapter, nullptr);
  }

 private:
  valijson::Schema schema_;
};

std::string with_route(const std::string& lines) {
  return "upstreams: { a: http://a }\nroutes:\n  - match: /x\n    upstream: a\n    " + lines + "\n";
}

const std::string good[] = {
    "{}",
    "upstreams: { a: http://a }\ndefault_upstream: a\n",
    "upstreams: { a: { servers: [http://a:1, { url: 'http://b', weight: 1 }] } }\n",
    with_route("async: { success: { status: 204 } }"),
    with_route("async: { success: { status: 200-299 } }"),
    with_route("async: { success: { status: [200, 300-399] } }"),
    with_route("async: { wait: 1h30m, pending_status: 202, dialect: location }"),
    with_route("async: { idempotency_key: { required: true } }"),
    with_route("retry: { on: [timeout, 500, connect_failure], max_attempts: 1 }"),
    with_route("retry: { on: [] }"),
    with_route("limits: { body: 1GB }"),
    with_route("async: { success: { content_types: [text/*, a/*+json], body_matches: x } }"),
    with_route("async: { success: { json: { /a/b: [1, null], '': x } } }"),
    with_route("validate: { headers: { X-A: required, X-B: { pattern: '[a-z]' } } }"),
    with_route("validate: { query: { 'filter[a]': '.+', b: { required: true } } }"),
    with_route("validate: { content_types: ['*/*'], json_schema: a.json }"),
    with_route("response_body: { json_patch: [{ op: add, path: /a, value: { b: [1, x] } }] }"),
    with_route("response_body: { json_patch: [{ op: move, path: '', from: /a, optional: true }] }"),
    with_route("response_body: { merge_patch: [1], max_size: 1KiB, on_failure: refuse }"),
    with_route("response_body: { replace: [{ from: a, to: '' }] }"),
    with_route("request_body: { merge_patch: { a: 1 }, replace: [{ from: a, to: b }] }"),
    with_route("documents: { accepted: { json: { id: '${job.id}' } }, states: { queued: New } }"),
    with_route("documents: { error: { content_type: text/xml, text: '<e>${error.type}</e>' } }"),
    with_route("rewrite: { path: '/x/${query.a:-b}', host: '${request.host}' }"),
    with_route("request_headers: { set: { X-A: '${header.X-B}' }, remove: [X-*], rename: { A: B } "
               "}"),
    with_route("response_headers: { rewrite_location: false, rewrite_cookies: { domain: '' } }"),
    with_route("cors: { allow_origins: ['*'], max_age: 0s, expose_headers: [X-Total] }"),
    "listeners: [{ limits: { connections: '7' } }]\n",
    "listeners: [{ proxy_protocol: v2 }]\n",
    "defaults: { route: { upstream: a, async: { mode: never } }, upstream: { max_concurrency: 1 } "
    "}\n",
};

// Refused by reader and schema alike: for their structure, not for how settings fit together.
const std::string bad[] = {
    "[]",
    "elephant: 1",
    "version: 2",
    "version: one",
    "log: []",
    "log: { level: loud }",
    "log: { format: text, elephant: 1 }",
    "trusted_proxies: 10.0.0.0/8",
    "trusted_proxies: [{}]",
    "listeners: []",
    "listeners: {}",
    "listeners: [{ timeouts: { header: 5 } }]",
    "listeners: [{ timeouts: { header: 5x } }]",
    "listeners: [{ timeouts: { header: '' } }]",
    "listeners: [{ limits: { body: 10 } }]",
    "listeners: [{ limits: { body: 10mib } }]",
    "listeners: [{ limits: { connections: 0 } }]",
    "listeners: [{ limits: { connections: many } }]",
    "listeners: [{ limits: { connections: -1 } }]",
    "listeners: [{ proxy_protocol: v3 }]",
    "listeners: [{ tls: {} }]",
    "public_url: api.example.com",
    "public_url: https://a/",
    "jobs: { base_path: / }",
    "jobs: { base_path: jobs }",
    "store: { partitions: 0 }",
    "store: { postgres: x }",
    "upstreams: []",
    "upstreams: { a: 5 }",
    "upstreams: { 'a b': http://a }",
    "upstreams: { a: http://a/x }",
    "upstreams: { a: httpss://a }",
    "upstreams: { a: {} }",
    "upstreams: { a: { servers: [] } }",
    "upstreams: { a: { servers: http://a } }",
    "upstreams: { a: { servers: [{ weight: 1 }] } }",
    "upstreams: { a: { servers: [http://a], lb_policy: random } }",
    "upstreams: { a: { servers: [http://a], max_concurrency: 65536 } }",
    "upstreams: { a: { servers: [http://a], on_abort: drian } }",
    "defaults: { upstream: http://a }",
    "defaults: { upstream: { servers: [http://a] } }",
    "defaults: { route: { match: /x } }",
    "defaults: { elephant: {} }",
    "routes: {}",
    "routes: [x]",
    "routes: [{ upstream: a }]",
    "routes: [{ match: x, upstream: a }]",
    "routes: [{ match: get /x, upstream: a }]",
    "routes: [{ match: { methods: [GET] }, upstream: a }]",
    "routes: [{ match: { path: /x, methods: [] }, upstream: a }]",
    "routes: [{ match: { path: /x, methods: [get] }, upstream: a }]",
    "routes: [{ match: { path: /x, hosts: a }, upstream: a }]",
    "routes: [{ match: { path: /x, hosts: ['*'] }, upstream: a }]",
    "routes: [{ match: { path: /x, headers: [X-A] }, upstream: a }]",
    with_route("documents: { accepted: { json: 1, elephant: 2 } }"),
    with_route("documents: { states: { done: Done } }"),
    with_route("documents: { status: { content_type: xml, text: a } }"),
    with_route("rewrite: /x"),
    with_route("request_headers: { set: { X-A: [a] } }"),
    with_route("request_headers: { rewrite_location: true }"),
    with_route("response_headers: { rewrite_cookies: { path: { cgi: /x } } }"),
    with_route("cors: []"),
    with_route("cors: { allow_credentials: some }"),
    with_route("async: { mode: sometimes }"),
    with_route("async: { pending_status: 201 }"),
    with_route("async: { completion: envelope }"),
    with_route("async: { idempotency_key: { required: yes } }"),
    with_route("async: { success: { status: [] } }"),
    with_route("async: { success: { status: 99 } }"),
    with_route("async: { success: { content_types: [text] } }"),
    with_route("async: { success: { json: [] } }"),
    with_route("async: { success: { json: {} } }"),
    with_route("async: { success: { json: { a: 1 } } }"),
    with_route("async: { success: { json: { /a~: 1 } } }"),
    with_route("validate: { content_types: application/json }"),
    with_route("validate: { headers: { 'X A': required } }"),
    with_route("validate: { headers: { X-A: { elephant: 1 } } }"),
    with_route("validate: { query: { '': required } }"),
    with_route("response_body: { json_patch: [] }"),
    with_route("response_body: { json_patch: [{ op: add, value: 1 }] }"),
    with_route("response_body: { json_patch: [{ op: ad, path: /a, value: 1 }] }"),
    with_route("response_body: { json_patch: [{ op: remove, path: a }] }"),
    with_route("response_body: { on_failure: ignore }"),
    with_route("response_body: { replace: [{ from: a }] }"),
    with_route("retry: { on: timeout }"),
    with_route("retry: { on: [teapot] }"),
    with_route("retry: { on: [200] }"),
    with_route("retry: { max_attempts: 0 }"),
};

}  // namespace

TEST_CASE("the schema that is kept is the schema that is written") {
  // To renew it: raincheck check --schema > config/raincheck.schema.json
  CHECK((read_source("config/raincheck.schema.json") == schema_json()));
}

TEST_CASE("reader and schema accept the same files") {
  const Schema schema;
  for (const std::string& text : good) {
    CAPTURE(text);
    CHECK(complaints(load_alone(text)).find("error") == std::string::npos);
    CHECK(schema.accepts(text));
  }
}

TEST_CASE("reader and schema refuse the same files") {
  const Schema schema;
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(load_alone(text).ok);
    CHECK_FALSE(schema.accepts(text));
  }
}

TEST_CASE("the schema takes what is put in when the file is read") {
  const Schema schema;
  for (const std::string text :
       {"listeners: [{ limits: { connections: '${N}', body: '${SIZE:-1MiB}' } }]\n",
        "log: { level: '${LEVEL}' }\n", "upstreams: { a: '${URL}' }\n",
        "routes: [{ match: '${MATCH}', upstream: a, async: { pending_status: '${S}' } }]\n"}) {
    CAPTURE(text);
    CHECK(schema.accepts(text));
  }
}

namespace {

// Whether the key is in the tree, where "[]" stands for any item and "*" for any name.
bool has_key(const yaml::Value& value, std::string_view path) {
  if (path.empty()) return true;
  const std::size_t dot = path.find('.');
  std::string_view key = path.substr(0, dot);
  const std::string_view rest = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  const bool is_list = key.size() > 2 && key.substr(key.size() - 2) == "[]";
  if (is_list) key.remove_suffix(2);
  for (const auto& [name, inner] : value.entries) {
    if (key != "*" && name.text != key) continue;
    if (!is_list && has_key(inner, rest)) return true;
    for (const yaml::Value& item : inner.items) {
      if (is_list && has_key(item, rest)) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("the example holds every setting, and is accepted by reader and schema") {
  const std::string text = read_source("config/example.yaml");
  const Loaded loaded = load_text("config/example.yaml", text, Environment::empty());
  CHECK(format(loaded) == "");
  CHECK(Schema().accepts(text));
  const yaml::Document document = yaml::parse("config/example.yaml", text);
  CHECK(known_paths().size() > 90);
  for (const std::string& path : known_paths()) {
    CAPTURE(path);
    CHECK(has_key(document.root, path));
  }
}

TEST_CASE("the example's values are the defaults, unless it says that they are examples") {
  const std::string text = read_source("config/example.yaml");
  const Config config = load_text("x.yaml", text, Environment::empty()).config;
  REQUIRE(config.listeners.size() == 1);
  const Listener listener;
  CHECK(config.listeners[0].address == listener.address);
  CHECK(config.listeners[0].timeouts.header == listener.timeouts.header);
  CHECK(config.listeners[0].limits.body == listener.limits.body);
  CHECK(config.listeners[0].limits.body_rate == listener.limits.body_rate);
  const Upstream upstream;
  REQUIRE(config.upstreams.size() == 2);  // the other is the service of authorize.url
  CHECK(config.upstreams[1].is_auth_service);
  CHECK(config.upstreams[0].timeouts.attempt == upstream.timeouts.attempt);
  CHECK(config.upstreams[0].limits.response_body == upstream.limits.response_body);
  const Route route;
  CHECK(config.routes.at(0).async.job_timeout == route.async.job_timeout);
  CHECK(config.routes.at(0).async.success.status.at(0).last ==
        route.async.success.status.at(0).last);
  CHECK(config.routes.at(0).retry.on_status == route.retry.on_status);
  CHECK(config.jobs.max_pending == Jobs().max_pending);
  CHECK(config.store.max_bytes == Store().max_bytes);
}
