#include "config/load.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "tests/config/support.hpp"

using namespace raincheck::config;
using namespace raincheck::config::tests;

namespace {

struct Mistake {
  std::string text;
  std::string_view expected;  // after "x.yaml:"
};

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

// A good file whose upstream has a line of its own, at line 4.
std::string upstream_with(std::string_view line) {
  return "upstreams:\n  a:\n    servers: [http://a]\n    " + std::string(line) +
         "\ndefault_upstream: a\n";
}

// A good file whose match has a key of its own, at line 4.
std::string match_with(std::string_view key) {
  return "upstreams:\n  a: http://a\nroutes:\n  - match: { path: /x, " + std::string(key) +
         " }\n    upstream: a\n";
}

const Mistake mistakes[] = {
    // keys
    {with("upsteams: {}\n"),
     "7:1: error: upsteams: unknown key 'upsteams'; did you mean 'upstreams'?"},
    {route_with("upsteam: a"),
     "6:5: error: routes[0].upsteam: unknown key 'upsteam'; did you mean 'upstream'?"},
    {route_with("wait: 2s"),
     "6:5: error: routes[0].wait: unknown key 'wait'; it belongs to 'routes[].async'"},
    {route_with("elephant: 2s"), "6:5: error: routes[0].elephant: unknown key 'elephant'"},
    {with("<<: {}\n"),
     "7:1: error: <<: merge keys ('<<') are not read; what upstreams or routes share goes into "
     "'defaults'"},
    {upstream_with("servers: [http://b]"),
     "4:5: error: 'servers' is here twice: first at line 3, column 5"},
    // kinds of nodes
    {with("log: []\n"), "7:6: error: log: must be a map of 'key: value'"},
    {with("log:\n"), "7:1: error: log: has no value: give it one or remove the key"},
    {with("trusted_proxies: 10.0.0.0/8\n"),
     "7:18: error: trusted_proxies: must be a list: [a, b], or lines with '- '"},
    {with("version: [1]\n"), "7:10: error: version: must be a single value, not a list"},
    {with("listeners: []\n"), "7:12: error: listeners: must not be empty"},
    {"[]\n", "1:1: error: must be a map of 'key: value'"},
    {"just words\n", "1:1: error: must be a map of 'key: value'"},
    {"~\n", "1:1: error: the file is empty"},
    // values
    {with("version: 2\n"), "7:10: error: version: must be 1, not '2'"},
    {with("jobs: { max_pending: 017 }\n"),
     "7:22: error: jobs.max_pending: must be a decimal number without leading zeros, not '017'"},
    {with("jobs: { max_pending: 0 }\n"),
     "7:22: error: jobs.max_pending: must be from 1 to 549755813888, not '0'"},
    {with("shutdown: { delay: 5 }\n"),
     "7:20: error: shutdown.delay: needs a unit: write '5s', not '5'"},
    {with("store: { max_bytes: 1024 }\n"),
     "7:21: error: store.max_bytes: needs a unit: write '1024B' or '1024MiB', not '1024'"},
    {with("store: { max_bytes: 1KiB }\n"), "7:21: error: store.max_bytes: must be at least 16MiB"},
    {with("store: { inline_max: 2MiB }\n"), "7:22: error: store.inline_max: must be at most 1MiB"},
    {with("listeners: [{ timeouts: { header: 0s } }]\n"),
     "7:35: error: listeners[0].timeouts.header: must be longer than 0s"},
    {with("listeners: [{ limits: { body_rate: 1KiB } }]\n"),
     "7:36: error: listeners[0].limits.body_rate: must be a size in a second such as '1KiB/s' or "
     "'0B/s', not '1KiB'"},
    {with("listeners: [{ limits: { body_rate: 5/s } }]\n"),
     "7:36: error: listeners[0].limits.body_rate: must be a size in a second such as '1KiB/s' or "
     "'0B/s', not '5/s'"},
    {with("log: { level: wran }\n"),
     "7:15: error: log.level: must be 'trace', 'debug', 'info', 'warn' or 'error', not 'wran'; "
     "did you mean 'warn'?"},
    {route_with("async: { pending_status: 201 }"),
     "6:30: error: routes[0].async.pending_status: must be '200' or '202', not '201'"},
    {route_with("async: { idempotency_key: { required: yes } }"),
     "6:43: error: routes[0].async.idempotency_key.required: must be true or false, without "
     "quotes, not 'yes'"},
    {route_with("async: { idempotency_key: { required: 'true' } }"),
     "6:43: error: routes[0].async.idempotency_key.required: must be true or false, without "
     "quotes, not 'true'"},
    {route_with("async: { idempotency_key: { header: Host } }"),
     "6:41: error: routes[0].async.idempotency_key.header: 'Host' has a meaning of its own in "
     "HTTP and cannot be used here"},
    {route_with("async: { idempotency_key: { header: 'a b' } }"),
     "6:41: error: routes[0].async.idempotency_key.header: 'a b' is not a header name"},
    {route_with("async: { success: { status: 100 } }"),
     "6:33: error: routes[0].async.success.status: must be a status or a range from 200 to 599, "
     "such as '200-399', not '100'"},
    {route_with("async: { success: { status: [] } }"),
     "6:33: error: routes[0].async.success.status: must not be empty"},
    {route_with("async: { success: { body_matches: '(' } }"),
     "6:39: error: routes[0].async.success.body_matches: is not a pattern that RE2 can match: "
     "missing ): ("},
    {route_with("async: { success: { body_excludes: '(?=a)' } }"),
     "6:40: error: routes[0].async.success.body_excludes: is not a pattern that RE2 can match: "
     "invalid perl operator: (?="},
    {route_with("async: { success: { content_types: [text/html, '*/json'] } }"),
     "6:52: error: routes[0].async.success.content_types[1]: must be a media type such as "
     "text/html, text/* or application/*+json, not '*/json'"},
    {route_with("async: { labels: { 'a=b': x } }"),
     "6:24: error: routes[0].async.labels.a=b: must be a name of at most 64 letters, digits, '-', "
     "'_' and '.', not 'a=b'"},
    // authorize
    {route_with("authorize: { url: 'http://u@a/check' }"),
     "6:23: error: routes[0].authorize.url: 'http://...' holds a user name; a server is "
     "http://host:port or https://host:port"},
    {route_with("authorize: { url: 'http://a/check#x' }"),
     "6:23: error: routes[0].authorize.url: must be a path as it is asked for, without spaces, '#' "
     "and letters beyond ASCII"},
    {route_with("authorize: { uri: http://a/check }"),
     "6:18: error: routes[0].authorize.uri: unknown key 'uri'; did you mean 'url'?"},
    {route_with("authorize: {}"),
     "6:16: error: routes[0].authorize: needs a url, or an upstream and a path"},
    {route_with("authorize: { url: http://a, upstream: a, path: /x }"),
     "6:43: error: routes[0].authorize.upstream: stands in place of url: there is one already"},
    {route_with("authorize: { url: http://a/x, path: /x }"),
     "6:41: error: routes[0].authorize.path: belongs to upstream: a url has its own"},
    {route_with("authorize: { upstream: a }"),
     "6:16: error: routes[0].authorize.path: is required"},
    {route_with("authorize: { upstream: aa, path: /x }"),
     "6:28: error: routes[0].authorize.upstream: there is no upstream 'aa'; did you mean 'a'?"},
    {route_with("authorize: { url: http://b, timeout: 0s }"),
     "6:42: error: routes[0].authorize.timeout: must be longer than 0s"},
    {route_with("authorize: { url: http://b, method: get }"),
     "6:41: error: routes[0].authorize.method: methods are written in capitals: 'GET', not 'get'"},
    {route_with("authorize: { url: http://b, cache: 61s }"),
     "6:40: error: routes[0].authorize.cache: must not be longer than 1m"},
    {route_with("authorize: { url: http://b, copy_headers: [Host] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: no rule touches 'Host': write 'rewrite: { "
     "host: ... }'"},
    {route_with("authorize: { url: http://b, copy_headers: [X-A, Content-Length] }"),
     "6:53: error: routes[0].authorize.copy_headers[1]: 'Content-Length' frames messages or "
     "belongs "
     "to one connection: it is written anew and no rule touches it"},
    {route_with("authorize: { url: http://b, copy_headers: [Content-Type] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: 'Content-Type' tells of the body, which "
     "the "
     "service never saw"},
    {route_with("authorize: { url: http://b, copy_headers: [x-forwarded-for] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: 'x-forwarded-for' tells of the client's "
     "connection, which is ours to tell"},
    {route_with("authorize: { url: http://b, copy_headers: [X_User] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: 'X_User' could be forged as a name with "
     "'-', which CGI cannot tell from '_'"},
    {route_with("authorize: { url: http://b, copy_headers: [Set-Cookie] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: 'Set-Cookie' is for clients: no call has "
     "it"},
    {route_with("authorize: { url: http://b, copy_headers: [x-request-id] }"),
     "6:48: error: routes[0].authorize.copy_headers[0]: is request_id.header, which is ours to "
     "write"},
    {route_with("authorize: { url: http://b, copy_headers: [X-A, x-a] }"),
     "6:53: error: routes[0].authorize.copy_headers[1]: 'x-a' is here twice: first at x.yaml:6:48"},
    {route_with("async: { success: { json: { a: 1 } } }"),
     "6:33: error: routes[0].async.success.json: must be a JSON Pointer, which begins with '/', "
     "unlike 'a'"},
    {route_with("validate: { headers: { X-A: '[' } }"),
     "6:33: error: routes[0].validate.headers.X-A: is not a pattern that RE2 can match: missing "
     "]: ["},
    {route_with("validate: { headers: { 'X A': required } }"),
     "6:28: error: routes[0].validate.headers.X A: 'X A' is not a header name"},
    {route_with("response_body: { json_patch: [{ op: add, path: /a }] }"),
     "6:35: error: routes[0].response_body.json_patch[0].value: is required"},
    {route_with("response_body: { json_patch: [{ op: remove, path: /a, value: 1 }] }"),
     "6:35: error: routes[0].response_body.json_patch[0].value: means nothing to this operation"},
    {route_with("response_body: { json_patch: [{ op: test, path: /a, value: 1, from: /b }] }"),
     "6:35: error: routes[0].response_body.json_patch[0].from: means nothing to this operation"},
    {route_with("response_body: { json_patch: [{ op: move, from: /a, path: /a/b }] }"),
     "6:35: error: routes[0].response_body.json_patch[0].path: is inside of what is moved ('/a')"},
    {route_with("response_body: { json_patch: [{ op: remove, path: /a~2 }] }"),
     "6:55: error: routes[0].response_body.json_patch[0].path: writes '~' as '~0' and '/' as "
     "'~1', unlike '/a~2'"},
    {route_with("response_body: { replace: [{ from: a, to: b }, { from: a, to: c }] }"),
     "6:60: error: routes[0].response_body.replace[1].from: 'a' is here twice: first at "
     "x.yaml:6:40"},
    {route_with("response_body: { replace: [{ from: '" + std::string(1024, 'a') +
                "', to: a }, { from: '" + std::string(1024, 'b') + "', to: a }, { from: '" +
                std::string(1024, 'c') + "', to: a }, { from: '" + std::string(1023, 'd') +
                "', to: a }, { from: ef, to: a }] }"),
     "6:31: error: routes[0].response_body.replace: must not have more than 32 texts to look for, "
     "with 4096 bytes in all"},
    {route_with("response_body: { replace: [{ from: '" + std::string(1025, 'a') + "', to: b }] }"),
     "6:40: error: routes[0].response_body.replace[0].from: must not be longer than 1024 bytes"},
    {route_with("response_body: { replace: [{ from: a, to: '" + std::string(4097, 'a') + "' }] }"),
     "6:47: error: routes[0].response_body.replace[0].to: must not be longer than 4096 bytes"},
    {route_with("response_body: { replace: [{ from: a, to: '${NOPE}' }] }"),
     "6:47: error: routes[0].response_body.replace[0].to: the environment variable 'NOPE' is not "
     "set; give it a default: ${NOPE:-value}"},
    {route_with("response_body: { replace: [{ from: '', to: b }] }"),
     "6:40: error: routes[0].response_body.replace[0].from: must not be empty"},
    {route_with("response_body: { merge_patch: { a: '${NOPE}' } }"),
     "6:40: error: routes[0].response_body.merge_patch: the environment variable 'NOPE' is not "
     "set; give it a default: ${NOPE:-value}"},
    {route_with("retry: { on: [conect_failure] }"),
     "6:19: error: routes[0].retry.on[0]: must be 'connect_failure', 'timeout' or a status from "
     "400 to 599, not 'conect_failure'; did you mean 'connect_failure'?"},
    {route_with("retry: { on: [399] }"),
     "6:19: error: routes[0].retry.on[0]: must be 'connect_failure', 'timeout' or a status from "
     "400 to 599, not '399'"},
    {route_with("name: \"a\\nb\""),
     "6:11: error: routes[0].name: must not hold control characters"},
    {with("trusted_proxies: [10.0.0.1/8]\n"),
     "7:19: error: trusted_proxies[0]: '10.0.0.1/8' has bits beyond its prefix length; write "
     "10.0.0.0/8, ::1/128 or one address"},
    {with("listeners: [{ address: localhost:80 }]\n"),
     "7:24: error: listeners[0].address: 'localhost:80' is not an IP address and a port; write "
     "127.0.0.1:8080, [::1]:8080, unix:/path or systemd:name"},
    {with("public_url: https://a/\n"), "7:13: error: public_url: must not end with '/'"},
    {with("public_url: api.example.com\n"),
     "7:13: error: public_url: must begin with 'https://' or 'http://', unlike "
     "'api.example.com'"},
    {with("public_url: https://a?x\n"),
     "7:13: error: public_url: must be scheme, host, port and path only: no user, query or "
     "fragment"},
    {with("jobs: { base_path: / }\n"),
     "7:20: error: jobs.base_path: must not be '/': every path would be a job's"},
    {with("jobs: { base_path: jobs }\n"),
     "7:20: error: jobs.base_path: must begin with '/', unlike 'jobs'"},
    {with("jobs: { base_path: /a/ }\n"),
     "7:20: error: jobs.base_path: must not end with '/': write '/a'"},
    {with("jobs: { base_path: /a/../b }\n"),
     "7:20: error: jobs.base_path: must be a plain path of letters, digits, '-', '_', '.' and "
     "'~', unlike '/a/../b'"},
    // matches
    {"upstreams: {a: http://a}\nroutes:\n  - {match: post /x, upstream: a}\n",
     "3:13: error: routes[0].match: methods are written in capitals: 'POST', not 'post'"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: x, upstream: a}\n",
     "3:13: error: routes[0].match: must be a path such as '/reports/*', or a method and a path "
     "such as 'POST /reports/*', not 'x'"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: CONNECT /x, upstream: a}\n",
     "3:13: error: routes[0].match: 'CONNECT' is never passed on"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: {path: x}, upstream: a}\n",
     "3:20: error: routes[0].match.path: must begin with '/', unlike 'x'"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: {methods: [GET]}, upstream: a}\n",
     "3:13: error: routes[0].match.path: is required"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: {path: /x, methods: []}, upstream: a}\n",
     "3:33: error: routes[0].match.methods: must not be empty"},
    {"upstreams: {a: http://a}\nroutes:\n  - upstream: a\n",
     "3:5: error: routes[0].match: is required"},
    {"upstreams: {a: http://a}\nroutes:\n  - match: /x\n",
     "3:5: error: routes[0].upstream: is required"},
    // upstreams
    {"upstreams: {a: {}}\ndefault_upstream: a\n", "1:16: error: upstreams.a.servers: is required"},
    {"upstreams: {a: {servers: []}}\ndefault_upstream: a\n",
     "1:26: error: upstreams.a.servers: must not be empty"},
    {"upstreams: {a: {servers: [{weight: 1}]}}\ndefault_upstream: a\n",
     "1:27: error: upstreams.a.servers[0].url: is required"},
    {"upstreams: {a: http://a/x}\ndefault_upstream: a\n",
     "1:16: error: upstreams.a: 'http://a/x' has a path, which a server cannot have: '/x'; a "
     "server is http://host:port or https://host:port"},
    {"upstreams: {'a b': http://a}\n",
     "1:13: error: upstreams.a b: must be a name of at most 64 letters, digits, '-', '_' and "
     "'.', not 'a b'"},
    {upstream_with("max_concurrency: 65536"),
     "4:22: error: upstreams.a.max_concurrency: must be from 1 to 65535, not '65536'"},
    // defaults
    {with("defaults: { route: { match: /x } }\n"),
     "7:22: error: defaults.route.match: 'match' cannot be a default: each has its own"},
    {with("defaults: { upstream: { servers: [http://a] } }\n"),
     "7:25: error: defaults.upstream.servers: 'servers' cannot be a default: each has its own"},
    {with("defaults: { upstream: http://a }\n"),
     "7:23: error: defaults.upstream: must be a map of 'key: value'"},
    // interpolation
    {with("public_url: ${URL}\n"),
     "7:13: error: public_url: the environment variable 'URL' is not set; give it a default: "
     "${URL:-value}"},
    {route_with("name: ${header.X-Tenant}"),
     "6:11: error: routes[0].name: '${header.X-Tenant}' is known only when a request is there; "
     "it cannot be used here"},
    {with("log: { level: ${LEVEL} }\n"),
     "7:16: error: not YAML: end of map flow not found; inside { } and [ ] write \"${...}\" in "
     "quotes"},
};

const Mistake contradictions[] = {
    {"upstreams: {legacy: http://a}\ndefault_upstream: legcy\n",
     "2:19: error: default_upstream: there is no upstream 'legcy'; did you mean 'legacy'?"},
    {"default_upstream: a\n",
     "1:19: error: default_upstream: there is no upstream 'a'; add it under 'upstreams'"},
    {"upstreams: {a: http://a}\nroutes:\n  - {match: /x, upstream: b}\n",
     "3:27: error: routes[0].upstream: there is no upstream 'b'; did you mean 'a'?"},
    {"upstreams: {aaaa: http://a}\ndefaults: {route: {upstream: bbbb}}\nroutes:\n  - {match: "
     "/x}\n",
     "4:5: error: routes[0].upstream: there is no upstream 'bbbb'"},
    {upstream_with("timeouts: { connect: 2h }"),
     "4:26: error: upstreams.a.timeouts.connect: is longer (2h) than attempt (1h)"},
    {upstream_with("timeouts: { first_byte: 2h }"),
     "4:29: error: upstreams.a.timeouts.first_byte: is longer (2h) than attempt (1h)"},
    {upstream_with("health_check: { interval: 10s }"),
     "4:19: error: upstreams.a.health_check.path: is required"},
    {upstream_with("health_check: { path: health }"),
     "4:27: error: upstreams.a.health_check.path: must begin with '/', unlike 'health'"},
    {upstream_with("health_check: { path: /, timeout: 20s }"),
     "4:39: error: upstreams.a.health_check.timeout: is longer (20s) than interval (10s)"},
    {upstream_with("outlier_detection: { max_ejected_percent: 101 }"),
     "4:47: error: upstreams.a.outlier_detection.max_ejected_percent: must be from 0 to 100, not "
     "'101'"},
    {upstream_with("lb_policy: hash"),
     "4:16: error: upstreams.a.lb_policy: 'hash' needs a hash_key, such as ${cookie.SESSION}"},
    {upstream_with("hash_key: '${cookie.a}'"),
     "4:15: error: upstreams.a.hash_key: means nothing without 'lb_policy: hash'"},
    {upstream_with("slow_start: 30s\n    lb_policy: hash\n    hash_key: '${cookie.a}'"),
     "4:17: error: upstreams.a.slow_start: cannot be had with 'lb_policy: hash': a key belongs to "
     "a server or does not"},
    {upstream_with("abort_hold: 1h"),
     "4:17: error: upstreams.a.abort_hold: means nothing without 'on_abort: drain'"},
    {"upstreams:\n  a: { servers: [http://a, 'http://A:80'] }\ndefault_upstream: a\n",
     "2:28: error: upstreams.a.servers[1]: 'a' is here twice: first at x.yaml:2:18"},
    {route_with("async: { wait: 1h, job_timeout: 1h }"),
     "6:20: error: routes[0].async.wait: must be shorter than job_timeout (1h)"},
    {route_with("async: { queue_timeout: 25h }"),
     "6:29: error: routes[0].async.queue_timeout: is longer (25h) than job_timeout (24h)"},
    {route_with("async: { retry_after: { min: 2m } }"),
     "6:34: error: routes[0].async.retry_after.min: is longer (2m) than max (60s)"},
    {route_with("async: { follow: { interval: 2m } }"),
     "6:34: error: routes[0].async.follow.interval: is longer (2m) than max_interval (60s)"},
    {route_with("async: { follow: maybe }"),
     "6:22: error: routes[0].async.follow: must be true or false, without quotes, not 'maybe'"},
    {route_with("retry: { backoff: 2m }"),
     "6:23: error: routes[0].retry.backoff: is longer (2m) than max_backoff (60s)"},
    {route_with("request_headers: { set: { X-A: '${NONE}' } }"),
     "6:36: error: routes[0].request_headers.set.X-A: the environment variable 'NONE' is not set; "
     "give it a default: ${NONE:-value}"},
    {route_with("request_headers: { remove: X-A }"),
     "6:32: error: routes[0].request_headers.remove: must be a list: [a, b], or lines with '- '"},
    {route_with("request_headers: { rewrite_location: true }"),
     "6:24: error: routes[0].request_headers.rewrite_location: unknown key 'rewrite_location'; it "
     "belongs to 'routes[].response_headers'"},
    {route_with("response_headers: { rewrite_cookies: { path: { cgi: /x } } }"),
     "6:52: error: routes[0].response_headers.rewrite_cookies.path.cgi: must begin with '/', "
     "unlike 'cgi'"},
    {match_with("hosts: [a.example.com:80]"),
     "4:32: error: routes[0].match.hosts[0]: must be a host without a port"},
    {match_with("hosts: ['*']"),
     "4:32: error: routes[0].match.hosts[0]: must be a host such as 'api.example.com' or "
     "'*.example.com', not '*'"},
    {match_with("headers: { Connection: close }"),
     "4:35: error: routes[0].match.headers.Connection: 'Connection' has a meaning of its own in "
     "HTTP and cannot be used here"},
    {match_with("query: { a: [b] }"),
     "4:36: error: routes[0].match.query.a: must be a single value, not a list"},
    {with("store: { partitions: 2 }\n"),
     "7:22: error: store.partitions: more than one partition is not built yet in this version"},
    {with("listeners: [{ address: 127.0.0.1:80 }, { name: b, address: 127.0.0.1:80 }]\n"),
     "7:60: error: listeners[1].address: '127.0.0.1:80' is here twice: first at x.yaml:7:24"},
    {with("listeners: [{ name: a, address: 127.0.0.1:0 }, { name: a, address: 127.0.0.1:0 }]\n"),
     "7:56: error: listeners[1].name: 'a' is here twice: first at x.yaml:7:21"},
    {"upstreams: {a: http://a}\nroutes:\n  - {name: n, match: /x, upstream: a}\n  - {match: /y, "
     "name: n, upstream: a}\n",
     "4:23: error: routes[1].name: 'n' is here twice: first at x.yaml:3:12"},
};

}  // namespace

TEST_CASE("one mistake gets one message: where, which setting, what, and what was meant") {
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.text);
    const Loaded loaded = load_alone(mistake.text);
    CHECK(complaints(loaded) == "x.yaml:" + std::string(mistake.expected) + "\n");
    CHECK_FALSE(loaded.ok);
  }
}

TEST_CASE("settings that do not fit together are refused") {
  for (const Mistake& mistake : contradictions) {
    CAPTURE(mistake.text);
    CHECK(complaints(load_alone(mistake.text)) == "x.yaml:" + std::string(mistake.expected) + "\n");
  }
}

TEST_CASE("what is known but not built in this version is refused in words") {
  const auto expect = [](const std::string& text, const std::string& key) {
    CAPTURE(text);
    const std::string all = complaints(load_alone(text));
    CHECK(all.find("'" + key + "' is not built yet in this version") != std::string::npos);
    CHECK(std::count(all.begin(), all.end(), '\n') == 1);
  };
  expect(with("dialects: {}\n"), "dialects");
  for (const std::string key : {"postgres", "encryption_key"}) {
    expect(with("store: { " + key + ": x }\n"), key);
  }
  expect(upstream_with("rate_limit: x"), "rate_limit");
  for (const std::string key : {"fairness_key", "concurrency", "owner", "callback"}) {
    expect(route_with("async: { " + key + ": x }"), key);
  }
  expect(route_with("async: { completion: resource }"), "resource");
  expect(route_with("async: { dialect: fhir }"), "fhir");
  expect(route_with("async: { idempotency_key: { from: [owner] } }"), "from");
}

TEST_CASE("a service that is asked by its url is an upstream, one for each origin") {
  const Loaded loaded = load_alone(
      "upstreams: { a: http://a }\ndefault_upstream: a\n"
      "defaults: { route: { upstream: a, authorize: { timeout: 1s } } }\nroutes:\n"
      "  - { match: /a, authorize: { url: 'http://A:80/check?x' } }\n"
      "  - { match: /b, authorize: { url: 'http://a' } }\n"
      "  - { match: /c, authorize: { upstream: a, path: /may } }\n"
      "  - { match: /d }\n");
  CAPTURE(complaints(loaded));
  REQUIRE(loaded.ok);
  const auto& routes = loaded.config.routes;
  const auto asked = [&](std::size_t i) {
    return routes[i].authorize.service + " " + routes[i].authorize.target;
  };
  CHECK(asked(0) == "http://a /check?x");
  CHECK(asked(1) == "http://a /");
  CHECK(asked(2) == "a /may");
  CHECK(routes[0].authorize.timeout == milliseconds(1000));
  CHECK(routes[0].authorize.covers_polls());
  CHECK(routes[3].authorize.is_empty());
  const auto& upstreams = loaded.config.upstreams;
  REQUIRE(upstreams.size() == 2);
  CHECK_FALSE(upstreams[0].is_auth_service);
  CHECK(upstreams[1].is_auth_service);
  CHECK(upstreams[1].max_concurrency == authorize_concurrency);
  CHECK(upstreams[1].servers[0].authority == "a");
}

TEST_CASE("a PROXY header needs somebody who is believed") {
  const std::string listener = "listeners: [{ proxy_protocol: v1 }]\n";
  const std::string none = "trusted_proxies: []\n";
  CHECK(complaints(load_alone(with(listener))).empty());
  CHECK(complaints(load_alone(with(none))).empty());
  const std::string all = complaints(load_alone(with(none + listener)));
  CHECK(all.find("listeners[0].proxy_protocol: is believed of trusted_proxies only") != all.npos);
}

TEST_CASE("what passes by the authorization of its path is warned of") {
  const auto of_routes = [](const std::string& routes) {
    return complaints(
        load_alone("upstreams: {a: http://a}\ndefault_upstream: a\nroutes:\n" + routes));
  };
  const std::string guarded = "upstream: a, authorize: {url: http://b}}\n";
  const std::string warning =
      "x.yaml:4:13: warning: routes[0].match: other requests for '/x/*' go to default_upstream, "
      "and authorize asks nobody about them\n";
  CHECK(of_routes("  - {match: GET /x/*, " + guarded) == warning);
  CHECK(of_routes("  - {match: GET /x/*, " + guarded + "  - {match: /x/y/*, upstream: a}\n") ==
        warning);
  CHECK(of_routes("  - {match: /x/*, " + guarded) == "");
  CHECK(of_routes("  - {match: GET /x/*, " + guarded + "  - {match: /*, " + guarded) == "");
  CHECK(of_routes("  - {match: GET /x/*, upstream: a}\n") == "");
}
