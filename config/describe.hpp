// The one description of every setting: its key, where its value goes, its kind and limits, and a
// sentence for editors. Reader, schema writer and list of known keys visit it, so they cannot
// disagree. A visitor V has:
//   shorthand(target, kind)                        one scalar may stand for the whole map
//   field(key, target, kind, sentence, use)        a scalar
//   list(key, target, kind, sentence, use)         a list of scalars
//   entries(key, vector, names, kind, sentence)    a map from the operator's own words to scalars
//   section(key, struct, sentence, use)            a map with a description of its own
//   group(key, sentence, function)                 a map without a struct
//   items(key, vector, start, sentence, use)       a list of maps, each beginning as `start`
//   named(key, vector, start, names, sentence)     a map from names to maps
//   any(key, target, sentence, shape)              a value of any shape, kept as JSON
//   defaults(key, struct, sentence)                a map of what others begin as
//   unbuilt(key)                                   a known setting that this version refuses
#pragma once

#include <limits>
#include <string>

#include "config/config.hpp"
#include "config/describe_route.hpp"
#include "config/describe_words.hpp"
#include "config/rules.hpp"

namespace raincheck::config {

// A main file: the settings, and what upstreams and routes begin as.
struct MainFile {
  Config& config;
  Upstream upstream;
  Route route;
};

// A file that `include` names.
struct IncludedFile {
  MainFile& main;
};

template <class V>
void describe(V& v, ListenerTimeouts& t) {
  v.field("header", t.header, Duration{},
          "From the first byte of a request to the end of its header.");
  v.field("body", t.body, Duration{}, "Longest silence while a request body is read.");
  v.field("write", t.write, Duration{},
          "Longest time without progress while a response is written.");
  v.field("idle", t.idle, Duration{}, "How long a kept-alive connection may wait for a request.");
  v.field("body_grace", t.body_grace, Duration{},
          "How long a client may be waited for within one body before limits.body_rate counts.");
}

template <class V>
void describe(V& v, ListenerLimits& l) {
  v.field("connections", l.connections, Count{1}, "Connections at once.");
  v.field("connections_per_client", l.connections_per_client, Count{1},
          "Connections at once from one client address.");
  v.field("request_line", l.request_line, Size{64, mib},
          "Length of a request line; beyond it 414.");
  v.field("headers", l.headers, Size{256, 16 * mib}, "Size of a request header; beyond it 431.");
  v.field("header_count", l.header_count, Count{1, 10'000},
          "Number of header fields of a request; beyond it 431.");
  v.field("body", l.body, Size{}, "Size of a request body; beyond it 413.");
  v.field("body_rate", l.body_rate, Rate{},
          "How fast, on average, a client must at least send the body of a request, else 408, and "
          "read that of an answer, else the connection ends. 0B/s: at any speed.");
}

template <class V>
void describe(V& v, Certificate& c) {
  v.field("cert_file", c.cert_file.path, Text{check_file_path},
          "PEM: the certificate, then those between it and its CA.", Use::required);
  v.field("key_file", c.key_file.path, Text{check_file_path}, "PEM: its private key.",
          Use::required);
}

template <class V>
void describe(V& v, ListenerTls& t) {
  v.items("certificates", t.certificates, Certificate{},
          "Who this listener is. The first for who asks for no name or an unknown one, the others "
          "for the names in them.",
          Use::required);
  v.field("min_version", t.min_version, tls_version_words, "The oldest version of TLS.");
  v.field("client_auth", t.client_auth, client_auth_words,
          "Whether clients have to show a certificate of client_ca_file; optional: they may, and "
          "one that is not valid is refused.");
  v.field("client_ca_file", t.client_ca_file.path, Text{check_file_path},
          "PEM: the CAs of clients.");
  v.field("crl_file", t.crl_file.path, Text{check_file_path},
          "PEM: what those CAs have revoked, a list for each of them.");
}

template <class V>
void describe(V& v, Listener& l) {
  v.field("name", l.name, Text{check_name}, "Label in logs and metrics. Default: the address.");
  v.field(
      "address", l.address, Text{check_listen_address},
      "Where to listen: host:port, [v6]:port, unix:/path or systemd:name, which are the sockets "
      "that a socket unit passes under this name.");
  v.section("timeouts", l.timeouts, "Time limits of client connections.");
  v.section("limits", l.limits, "Limits of client connections and requests.");
  v.field("proxy_protocol", l.proxy_protocol, proxy_protocol_words,
          "The PROXY header with which every connection begins, and which names its client. Only "
          "trusted_proxies may connect then.");
  v.section("tls", l.tls, "HTTPS, as Mozilla's \"intermediate\". Default: plain HTTP.");
}

template <class V>
void describe(V& v, Server& s) {
  v.shorthand(s.url, Text{check_server_url, "^https?://[^/?#@ ]+$"});
  v.field("url", s.url, Text{check_server_url, "^https?://[^/?#@ ]+$"},
          "http://host[:port] or https://host[:port] of one server.", Use::required);
  v.field("weight", s.weight, Count{1, 1000},
          "Its share of the calls, beside the weights of the others.");
  v.field("max_concurrency", s.max_concurrency, Count{0, 65535},
          "Calls in flight to this server. 0: no limit of its own.");
}

template <class V>
void describe(V& v, UpstreamTimeouts& t) {
  v.field("connect", t.connect, Duration{}, "To make a connection.");
  v.field("write", t.write, Duration{}, "Longest time without progress while a request is sent.");
  v.field("first_byte", t.first_byte, Duration{},
          "From the end of the request to the first byte of the answer. Default: attempt.");
  v.field("between_bytes", t.between_bytes, Duration{}, "Longest silence within an answer.");
  v.field("attempt", t.attempt, Duration{}, "One whole call, from connecting to the last byte.");
  v.field(
      "idle", t.idle, Duration{Zero::allowed},
      "How long an unused connection is kept; less than the backend's own limit. 0s: not kept.");
}

template <class V>
void describe(V& v, UpstreamTls& t) {
  v.field("verify", t.verify, Flag{},
          "Whether a server's certificate must be valid, of a known CA, and for its name.");
  v.field("ca_file", t.ca_file.path, Text{check_file_path},
          "PEM: the CAs that are believed. Default: the system's.");
  v.field("server_name", t.server_name, Text{check_host_name},
          "The name that is asked for and must be in the certificate. Default: the server's host.");
  v.field("cert_file", t.cert_file.path, Text{check_file_path},
          "PEM: the certificate that is shown to servers that want one. Default: none.");
  v.field("key_file", t.key_file.path, Text{check_file_path}, "PEM: its private key.");
}

template <class V>
void describe(V& v, UpstreamLimits& l) {
  v.field("response_headers", l.response_headers, Size{256, 16 * mib},
          "Size of an answer's header.");
  v.field("response_body", l.response_body, Size{}, "Size of an answer's body.");
}

template <class V>
void describe(V& v, HealthCheck& h) {
  v.field("path", h.path, Text{check_call_path, "^/[!-~]*$"},
          "What each server is asked for with GET, regularly. Something cheap.", Use::required);
  v.field("interval", h.interval, Duration{}, "From one check to the next, give or take a tenth.");
  v.field("timeout", h.timeout, Duration{}, "For connecting and the head of the answer.");
  v.field("rise", h.rise, Count{1, 1000}, "Good answers in a row that bring a server back.");
  v.field("fall", h.fall, Count{1, 1000},
          "Checks in a row that fail before a server takes no calls.");
  v.list("status", h.status, Statuses{}, "Good answers: statuses and ranges of statuses.");
}

template <class V>
void describe(V& v, OutlierDetection& o) {
  v.field("consecutive_errors", o.consecutive_errors, Count{0, 1000},
          "Calls in a row that fail (no connection, none or no valid answer in time, or 502, 503, "
          "504) before a server is left out. 0: never.");
  v.field("ejection_time", o.ejection_time, Duration{},
          "How long it is left out; once more as long each time that it happens again soon.");
  v.field("max_ejected_percent", o.max_ejected_percent, Count{0, 100},
          "Share of the servers that may be left out at once; one always stays.");
}

template <class V>
void describe(V& v, Upstream& u) {
  v.shorthand(u.servers, SingleServer{});
  v.items("servers", u.servers, Server{}, "Where the backend listens; calls are shared out.",
          Use::required);
  v.field("lb_policy", u.lb_policy, lb_policy_words,
          "How calls are shared out among servers: round_robin: in turn; least_conn: to the least "
          "busy; hash: calls with the same hash_key to the same server. All by weight.");
  v.field("hash_key", u.hash_key, RequestText{},
          "What lb_policy: hash goes by: ${cookie.SESSION}. Calls without it are shared out in "
          "turn.");
  v.field("max_concurrency", u.max_concurrency, Count{1, 65535},
          "Calls in flight to the whole upstream, and never more than its servers allow together; "
          "the queue absorbs the rest.");
  v.section("timeouts", u.timeouts, "Time limits of one call.");
  v.field("tcp_keepalive", u.tcp_keepalive, Duration{Zero::allowed},
          "Interval of TCP probes while a backend is silent. 0s: none.");
  v.field("on_abort", u.on_abort, on_abort_words,
          "When a call is given up (timeout, cancel): close frees its slot at once, drain when the "
          "backend has ended or abort_hold is over.");
  v.field("abort_hold", u.abort_hold, Duration{},
          "Longest time that on_abort: drain holds a slot. Default: timeouts.attempt.");
  v.section("limits", u.limits, "Limits of what the backend answers.");
  v.section("health_check", u.health_check,
            "Whether each server is well is found out beside the calls. Default: no checks.");
  v.section("outlier_detection", u.outlier_detection,
            "Servers whose calls fail one after the other are left out for a while.");
  v.field(
      "slow_start", u.slow_start, Duration{Zero::allowed},
      "How long a server that was down or left out takes to get back to its share of the calls, "
      "from next to none, evenly. Not with lb_policy: hash, where it would move keys. 0s: at "
      "once.");
  v.section("tls", u.tls, "How servers with https:// are spoken to.");
  v.unbuilt("rate_limit");
}

template <class V>
void describe(V& v, Store& s) {
  v.field("directory", s.directory, Text{check_file_path},
          "Where jobs are kept. Default: $STATE_DIRECTORY, else ./raincheck-data.");
  v.field("partitions", s.partitions, Count{1, 255}, "Databases, each with its own writer.");
  v.field("inline_max", s.inline_max, Size{0, mib}, "Larger bodies go to files of their own.");
  v.field("max_bytes", s.max_bytes, Size{16 * mib},
          "Size of the whole store; beyond it submissions get 503.");
  v.field("min_free", s.min_free, Size{0},
          "Left free on its file system; with less submissions get 503. 0B: not looked at.");
  v.field("reserve", s.reserve, Size{0},
          "Taken on the disk at the start, and given up when a job's end does not fit otherwise. "
          "0B: none.");
  for (const char* key : {"postgres", "encryption_key"}) v.unbuilt(key);
}

template <class V>
void describe(V& v, Retention& r) {
  v.field("result", r.result, Duration{}, "Job and result, after the end.");
  v.field("failed_request", r.failed_request, Duration{Zero::allowed},
          "The request of a failed job, after the end, but no longer than the job. 0s: erased at "
          "once.");
}

template <class V>
void describe(V& v, Jobs& j) {
  v.field("base_path", j.base_path, Text{check_base_path, "^/.*[^/]$"},
          "Where clients find their jobs: {base_path}/{id} and {base_path}/{id}/result.");
  v.field("max_pending", j.max_pending, Count{1, std::uint64_t{1} << 39},
          "Jobs that are not final; beyond it submissions get 503 with Retry-After.");
  v.section("retention", j.retention, "How long what is left of jobs is kept.");
}

template <class V>
void describe(V& v, Log& l) {
  v.field("level", l.level, log_level_words, "What is logged: this and worse.");
  v.field("format", l.format, log_format_words, "Form of log lines.");
}

template <class V>
void describe(V& v, AccessLog& l) {
  v.field("format", l.format, access_format_words, "Form of access lines.");
  v.field("output", l.output, access_output_words, "Where access lines go.");
  v.list("exclude_paths", l.exclude_paths, Many<Text>{{check_exact_path}},
         "Paths whose requests are not logged.");
}

template <class V>
void describe(V& v, Reload& r) {
  v.field("on_change", r.on_change, Flag{},
          "Whether the configuration is read again by itself when one of its files has changed.");
}

template <class V>
void describe(V& v, Shutdown& s) {
  v.field("delay", s.delay, Duration{Zero::allowed},
          "Time to go on serving after the signal, while load balancers look elsewhere.");
  v.field("grace_period", s.grace_period, Duration{Zero::allowed},
          "Time for calls in flight to end.");
}

template <class V>
void describe(V& v, Monitoring& m) {
  v.shorthand(m.is_on, off_word);
  v.field("address", m.address, Text{check_listen_address},
          "Where /healthz, /readyz and /metrics are: host:port, [v6]:port or unix:/path. Default: "
          "127.0.0.1:9901, or nowhere if another program has that.");
}

template <class V>
void describe(V& v, Admin& a) {
  v.shorthand(a.is_on, off_word);
  v.field("socket", a.socket, Text{check_file_path},
          "Unix socket of mode 0660 over which raincheck's own commands go; who may open it may "
          "operate. Default: $RUNTIME_DIRECTORY/admin.sock, else none.");
}

template <class V>
void describe(V& v, RequestId& r) {
  v.field("header", r.header, Text{check_header_name}, "Header that carries the request id.");
  v.field("accept", r.accept, accept_id_words, "Whose request ids are taken over.");
}

template <class V>
void describe(V& v, TraceContext& t) {
  v.field("generate", t.generate, Flag{},
          "Whether a request without a valid traceparent gets one.");
}

template <class V>
void describe_upstreams_and_routes(V& v, MainFile& file) {
  v.named("upstreams", file.config.upstreams, file.upstream, upstream_names,
          "The backends, by name. Short form: name: http://host:port");
  v.items("routes", file.config.routes, file.route,
          "Which requests go where. The most specific wins, whatever the order.", Use::optional);
}

template <class V>
void describe(V& v, IncludedFile& included) {
  describe_upstreams_and_routes(v, included.main);
}

template <class V>
void describe(V& v, MainFile& file) {
  Config& c = file.config;
  v.field("version", c.version, Count{1, 1}, "Format of this file, not of the program.");
  v.list("include", c.include, Many<Text>{{check_include}},
         "More files with upstreams and routes, as patterns; merged in name order.");
  v.field("public_url", c.public_url, Text{check_public_url, "^https?://[^?#@]*[^/?#@]$"},
          "Makes Location absolute: https://host[:port][/path]. Default: Location is a path.");
  v.items("listeners", c.listeners, Listener{}, "Where clients connect.", Use::optional);
  v.list("trusted_proxies", c.trusted_proxies, Many<Text>{{check_network}},
         "Networks whose forwarding headers and request ids are believed.");
  v.field(
      "forwarded", c.forwarded, Flag{},
      "Whether backends are told of clients in Forwarded (RFC 7239) too, beside X-Forwarded-*.");
  v.section("request_id", c.request_id, "How requests are identified in logs.");
  v.section("trace_context", c.trace_context,
            "Traces that requests belong to (W3C Trace Context).");
  v.section("shutdown", c.shutdown, "How the program ends.");
  v.section("reload", c.reload, "When the configuration is read again.");
  v.section("monitoring", c.monitoring,
            "A listener for those who watch, on which nothing can be changed; off: none.");
  v.section("admin", c.admin, "Everything that changes something at run time; off: nothing can.");
  v.section("log", c.log, "The program's log, on standard error.");
  v.section("access_log", c.access_log, "One line for each exchange.");
  v.section("store", c.store, "Where jobs survive.");
  v.section("jobs", c.jobs, "What clients see of jobs.");
  v.group("defaults", "What every upstream and every route begins as.", [&](auto& g) {
    g.defaults("upstream", file.upstream, "What every upstream begins as.");
    g.defaults("route", file.route, "What every route begins as.");
  });
  describe_upstreams_and_routes(v, file);
  v.field("default_upstream", c.default_upstream, Text{check_name},
          "Upstream of requests that no route matches. Default: they get 404.");
  v.unbuilt("dialects");
}

}  // namespace raincheck::config
