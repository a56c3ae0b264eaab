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
//   named(key, vector, start, sentence)            a map from names to maps
//   defaults(key, struct, sentence)                a map of what others begin as
//   unbuilt(key)                                   a known setting that this version refuses
#pragma once

#include <limits>
#include <string>

#include "config/config.hpp"
#include "config/kinds.hpp"
#include "config/rules.hpp"

namespace raincheck::config {

enum class Use {
  optional,  // the default
  own,       // optional, and never a default of others
  required,  // and never a default of others
};

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

inline const Words<OnAbort> on_abort_words{{{OnAbort::close, "close"}, {OnAbort::drain, "drain"}},
                                           {}};
inline const Words<LbPolicy> lb_policy_words{{{LbPolicy::round_robin, "round_robin"},
                                              {LbPolicy::least_conn, "least_conn"},
                                              {LbPolicy::hash, "hash"}},
                                             {}};
inline const Words<Mode> mode_words{
    {{Mode::always, "always"}, {Mode::prefer, "prefer"}, {Mode::never, "never"}}, {}};
inline const Words<Resend> resend_words{
    {{Resend::idempotent, "idempotent"}, {Resend::always, "always"}, {Resend::never, "never"}}, {}};
inline const Words<Priority> priority_words{
    {{Priority::high, "high"}, {Priority::normal, "normal"}, {Priority::low, "low"}}, {}};
inline const Words<Completion> completion_words{
    {{Completion::redirect, "redirect"}, {Completion::inline_, "inline"}},
    {"resource", "envelope"}};
inline const Words<LogLevel> log_level_words{{{LogLevel::trace, "trace"},
                                              {LogLevel::debug, "debug"},
                                              {LogLevel::info, "info"},
                                              {LogLevel::warn, "warn"},
                                              {LogLevel::error, "error"}},
                                             {}};
inline const Words<LogFormat> log_format_words{
    {{LogFormat::text, "text"}, {LogFormat::json, "json"}}, {}};
inline const Words<AccessFormat> access_format_words{
    {{AccessFormat::text, "text"}, {AccessFormat::json, "json"}}, {}};
inline const Words<AccessOutput> access_output_words{
    {{AccessOutput::stdout_, "stdout"}, {AccessOutput::none, "none"}}, {}};
inline const Words<AcceptId> accept_id_words{
    {{AcceptId::trusted, "trusted"}, {AcceptId::always, "always"}, {AcceptId::never, "never"}}, {}};

inline const NameRule field_names{check_header_name, "", NameRule::Case::ignored};
inline const NameRule changed_fields{check_changed_field, "", NameRule::Case::ignored};
inline const NameRule parameter_names{check_label};
inline const NameRule cookie_paths{check_exact_path, "^/"};

template <class V>
void describe(V& v, ListenerTimeouts& t) {
  v.field("header", t.header, Duration{},
          "From the first byte of a request to the end of its header.");
  v.field("body", t.body, Duration{}, "Longest silence while a request body is read.");
  v.field("write", t.write, Duration{},
          "Longest time without progress while a response is written.");
  v.field("idle", t.idle, Duration{}, "How long a kept-alive connection may wait for a request.");
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
}

template <class V>
void describe(V& v, Listener& l) {
  v.field("name", l.name, Text{check_name}, "Label in logs and metrics. Default: the address.");
  v.field("address", l.address, Text{check_listen_address},
          "Where to listen: host:port, [v6]:port or unix:/path.");
  v.section("timeouts", l.timeouts, "Time limits of client connections.");
  v.section("limits", l.limits, "Limits of client connections and requests.");
  v.field("proxy_protocol", unchanged, Only{{"none", "v1", "v2"}},
          "Whether connections begin with a PROXY header.");
  v.unbuilt("tls");
}

template <class V>
void describe(V& v, Server& s) {
  v.shorthand(s.url, Text{check_server_url, "^http://[^/?#@ ]+$"});
  v.field("url", s.url, Text{check_server_url, "^http://[^/?#@ ]+$"},
          "http://host[:port] of one server.", Use::required);
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
  for (const char* key : {"rate_limit", "tls"}) {
    v.unbuilt(key);
  }
}

template <class V>
void describe(V& v, Match& m) {
  v.shorthand(m, MatchText{});
  v.list("methods", m.methods, Many<Text>{{check_method, "^[A-Z][A-Z-]*$"}, false},
         "HTTP methods. Default: every method.");
  v.field("path", m.path, Text{check_match_path, "^/[^ ]*$"},
          "/exact, /prefix/*, /with/{segment} or /with/{rest...}.", Use::required);
  v.list("hosts", m.hosts, Many<Text>{{check_match_host, "^(\\*\\.)?[^*/ ]+$"}, false},
         "Hosts that are asked for: api.example.com, or *.example.com for all below it. Default: "
         "every host.");
  v.entries("headers", m.headers, field_names, Text{check_field_text},
            "Header fields and the values that they must have.");
  v.entries("query", m.query, parameter_names, Text{check_field_text},
            "Query parameters and the values that they must have.");
}

template <class V>
void describe(V& v, IdempotencyKey& k) {
  v.field("header", k.header, Text{check_header_name},
          "Name of the header that holds a submission's key: the same key, the same job.");
  v.field("required", k.required, Flag{}, "Whether a submission without a key is refused.");
  for (const char* key : {"from", "window"}) v.unbuilt(key);
}

template <class V>
void describe(V& v, RetryAfter& r) {
  v.field("min", r.min, Duration{}, "Shortest Retry-After that clients are told.");
  v.field("max", r.max, Duration{}, "Longest Retry-After that clients are told.");
}

template <class V>
void describe(V& v, Async& a) {
  v.field("mode", a.mode, mode_words,
          "always: every call becomes a job; prefer: only with Prefer: respond-async; never: plain "
          "proxy.");
  v.field("wait", a.wait, Duration{Zero::allowed},
          "Hybrid: answer in line when the backend is done by then, else 202. 0s: 202 at once.");
  v.field("dialect", a, Dialect{},
          "The wire form: native (poll answers 200, then 302 to the result) or location (202, then "
          "the result itself).");
  v.field("pending_status", a.pending_status, Choice{{200, 202}},
          "Status of a poll while pending.");
  v.field(
      "completion", a.completion, completion_words,
      "What a poll answers when the job is done: a redirect to the result, or the result itself.");
  v.field("redirect_status", a.redirect_status, Choice{{302, 303}},
          "Status of the redirect to the result.");
  v.group("success", "What counts as a success of the backend.", [&](auto& g) {
    g.list("status", a.success, Statuses{}, "Statuses and ranges of statuses.");
    for (const char* key : {"content_types", "body_matches", "body_excludes", "json"}) {
      g.unbuilt(key);
    }
  });
  v.field("resend", a.resend, resend_words,
          "Whether a call that may have been executed is sent again: idempotent: when its method "
          "allows it; always; never.");
  v.field("job_timeout", a.job_timeout, Duration{},
          "From 202 to the final state, waiting and retries included.");
  v.field("queue_timeout", a.queue_timeout, Duration{},
          "Longest time in the queue before the first attempt. Default: job_timeout.");
  v.field("priority", a.priority, priority_words, "Whose turn it is among waiting jobs.");
  v.section("idempotency_key", a.idempotency_key, "How repeated submissions are recognised.");
  v.section("retry_after", a.retry_after, "Bounds of Retry-After.");
  v.group("retention", "How long what is left of a job is kept.", [&](auto& g) {
    g.field("result", a.retention_result, Duration{},
            "Job and result, after the end. Default: jobs.retention.result.");
  });
  for (const char* key : {"fairness_key", "concurrency", "owner", "callback", "labels"}) {
    v.unbuilt(key);
  }
}

template <class V>
void describe(V& v, Retry& r) {
  v.field("max_attempts", r.max_attempts, Count{1, 1000},
          "Attempts of one job, the first included.");
  v.list("on", r, RetryCauses{},
         "What is tried again: connect_failure, timeout, and statuses. Within what resend allows.");
  v.field("backoff", r.backoff, Duration{},
          "Pause before the second attempt; doubles, with jitter.");
  v.field("max_backoff", r.max_backoff, Duration{}, "Longest pause between attempts.");
}

template <class V>
void describe(V& v, HeaderChanges& h) {
  v.entries("rename", h.rename, changed_fields, Text{check_changed_field},
            "Fields and the names that they get, before anything else is done.");
  v.list("remove", h.remove, Many<Text>{{check_removed_field}},
         "Fields that are taken out: X-Debug, or X-Internal-* for all that begin so.");
  v.entries("set", h.set, changed_fields, RequestText{},
            "Fields that get this value instead of any that they have. Without the field if a "
            "value that is put in is missing.");
  v.entries("add", h.add, changed_fields, RequestText{}, "Fields that are there once more.");
  v.entries("default", h.default_, changed_fields, RequestText{},
            "Fields that get this value if they are not there.");
}

template <class V>
void describe(V& v, RewriteCookies& c) {
  v.field("domain", c.domain, RequestText{},
          "Domain of cookies in place of the backend's own; empty: none, so that the cookie is the "
          "public host's alone.");
  v.entries("path", c.path, cookie_paths, Text{check_exact_path},
            "Beginnings of the path of cookies and what they become.");
}

template <class V>
void describe(V& v, ResponseHeaders& r) {
  describe(v, r.changes);
  v.field("rewrite_location", r.rewrite_location, Flag{},
          "Whether URLs of the backend in Location, Content-Location, Link and Refresh become "
          "public ones.");
  v.section("rewrite_cookies", r.rewrite_cookies, "What is changed in cookies of the backend.");
}

template <class V>
void describe(V& v, Rewrite& r) {
  v.field("host", r.host, RequestText{},
          "Host of the call; ${request.host}: as the client asked. Default: the server's own.");
  v.field("path", r.path, RequestText{},
          "Path of the call: /new/${path.name}. The query is kept unless this has one.");
}

template <class V>
void describe(V& v, RouteLimits& l) {
  v.field("body", l.body, Size{}, "Size of a request body. Default: the listener's.");
}

template <class V>
void describe(V& v, Route& r) {
  v.field("name", r.name, Text{check_label}, "Label in logs and metrics. Default: the match.",
          Use::own);
  v.section("match", r.match, "Which requests take this route. The most specific route wins.",
            Use::required);
  v.field("upstream", r.upstream, Text{check_name}, "Name of the upstream that is called.");
  v.section("async", r.async, "When and how calls become jobs.");
  v.section("retry", r.retry, "When a job's call is tried again.");
  v.section("limits", r.limits, "Limits of requests on this route.");
  v.section("rewrite", r.rewrite, "What the backend is asked for.");
  v.section("request_headers", r.request_headers, "What is changed in the header of calls.");
  v.section("response_headers", r.response_headers, "What is changed in the header of answers.");
  for (const char* key : {"validate", "authorize", "response_body", "cors"}) v.unbuilt(key);
}

template <class V>
void describe(V& v, Store& s) {
  v.field("directory", s.directory, Text{check_file_path},
          "Where jobs are kept. Default: $STATE_DIRECTORY, else ./raincheck-data.");
  v.field("partitions", s.partitions, Count{1, 255}, "Databases, each with its own writer.");
  v.field("inline_max", s.inline_max, Size{0, mib}, "Larger bodies go to files of their own.");
  v.field("max_bytes", s.max_bytes, Size{16 * mib},
          "Size of the whole store; beyond it submissions get 503.");
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
void describe(V& v, Shutdown& s) {
  v.field("delay", s.delay, Duration{Zero::allowed},
          "Time to go on serving after the signal, while load balancers look elsewhere.");
  v.field("grace_period", s.grace_period, Duration{Zero::allowed},
          "Time for calls in flight to end.");
}

template <class V>
void describe(V& v, RequestId& r) {
  v.field("header", r.header, Text{check_header_name}, "Header that carries the request id.");
  v.field("accept", r.accept, accept_id_words, "Whose request ids are taken over.");
}

template <class V>
void describe_upstreams_and_routes(V& v, MainFile& file) {
  v.named("upstreams", file.config.upstreams, file.upstream,
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
  v.section("request_id", c.request_id, "How requests are identified in logs.");
  v.section("shutdown", c.shutdown, "How the program ends.");
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
  for (const char* key : {"monitoring", "admin", "dialects"}) v.unbuilt(key);
}

}  // namespace raincheck::config
