// Every setting that an operator can make, with its default. Plain values: nothing here reads a
// file, a clock or the environment. The names are those of the YAML file; describe.hpp says which
// key, limit and sentence belongs to each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/service.hpp"
#include "config/values.hpp"

namespace raincheck::config {

struct ListenerTimeouts {
  milliseconds header{10'000};      // from the first byte of a request to the end of its header
  milliseconds body{60'000};        // longest silence while a request body is read
  milliseconds write{60'000};       // longest time without progress while a response is written
  milliseconds idle{75'000};        // a kept-alive connection without a request
  milliseconds body_grace{30'000};  // of waiting for one body, before limits.body_rate counts
};

struct ListenerLimits {
  std::uint32_t connections = 10'000;
  std::uint32_t connections_per_client = 1'000;
  std::uint64_t request_line = 8 * kib;
  std::uint64_t headers = 32 * kib;
  std::uint32_t header_count = 100;
  std::uint64_t body = 10 * mib;
  std::uint64_t body_rate = kib;  // bytes per second, of bodies either way; 0: any
};

enum class ProxyProtocol { none, v1, v2 };

// Who we say that we are: in PEM, the certificate, then those between it and its CA.
struct Certificate {
  FileName cert_file;
  FileName key_file;
  Place place;
};

enum class ClientAuth { none, optional, require };
enum class TlsVersion { v1_2, v1_3 };

struct ListenerTls {
  std::vector<Certificate> certificates;  // the first is the default; empty: no TLS
  TlsVersion min_version = TlsVersion::v1_2;
  ClientAuth client_auth = ClientAuth::none;
  FileName client_ca_file;
  FileName crl_file;
};

struct Listener {
  std::string name;
  std::string address = "127.0.0.1:8080";  // host:port | [v6]:port | unix:/path
  ListenerTls tls;
  ProxyProtocol proxy_protocol = ProxyProtocol::none;
  ListenerTimeouts timeouts;
  ListenerLimits limits;
  Place place;

  // Who the client is stands in a header before its first request.
  bool is_proxied() const { return proxy_protocol != ProxyProtocol::none; }
};

// One origin of an upstream: http://host[:port] or https://host[:port].
struct Server {
  std::string url;
  bool is_tls = false;      // https; set by load()
  std::string host;         // without brackets; set by load()
  std::uint16_t port = 80;  // set by load()
  std::string authority;    // host[:port] as it goes into Host; set by load()
  std::uint32_t weight = 1;
  std::uint32_t max_concurrency = 0;  // 0: no limit of its own
  Place place;
};

enum class OnAbort { close, drain };

struct UpstreamTimeouts {
  milliseconds connect{5'000};
  milliseconds write{60'000};
  std::optional<milliseconds> first_byte;  // default: attempt
  milliseconds between_bytes{60'000};
  milliseconds attempt{3'600'000};
  milliseconds idle{60'000};
};

// Of servers with https://.
struct UpstreamTls {
  bool verify = true;
  FileName ca_file;         // empty: the system's
  std::string server_name;  // empty: the server's host
  FileName cert_file;       // who we are; empty: nobody
  FileName key_file;
};

struct UpstreamLimits {
  std::uint64_t response_headers = 64 * kib;
  std::uint64_t response_body = gib;
};

// Active checks of servers.
struct HealthCheck {
  std::string path;  // empty: none
  milliseconds interval{10'000};
  milliseconds timeout{2'000};
  std::uint32_t rise = 2;  // good answers in a row that bring a server back
  std::uint32_t fall = 3;  // failures in a row that take it out
  std::vector<StatusRange> status{StatusRange{}};
};

// Servers whose calls fail are left out for a while.
struct OutlierDetection {
  std::uint32_t consecutive_errors = 5;  // 0: never
  milliseconds ejection_time{30'000};
  std::uint32_t max_ejected_percent = 50;

  bool operator==(const OutlierDetection&) const = default;
};

enum class LbPolicy { round_robin, least_conn, hash };

struct Upstream {
  std::string name;
  std::vector<Server> servers;
  LbPolicy lb_policy = LbPolicy::round_robin;
  std::optional<TemplateText> hash_key;  // what lb_policy: hash goes by
  std::uint32_t max_concurrency = 8;     // load() cuts it to what the servers allow together
  UpstreamTls tls;
  UpstreamTimeouts timeouts;
  milliseconds tcp_keepalive{60'000};
  OnAbort on_abort = OnAbort::close;
  std::optional<milliseconds> abort_hold;  // default: timeouts.attempt
  HealthCheck health_check;
  OutlierDetection outlier_detection;
  milliseconds slow_start{0};  // of a server that comes back; 0: none
  UpstreamLimits limits;
  bool is_auth_service = false;  // of an authorize.url, added by load(): no route leads to it
  Place place;

  // How long a call that was given up keeps its slot at most, with `on_abort: drain`.
  milliseconds hold() const { return abort_hold.value_or(timeouts.attempt); }
};

enum class Mode { always, prefer, never };
enum class Resend { idempotent, always, never };
enum class Priority { high, normal, low };
enum class Completion { redirect, inline_ };  // NOLINT(readability-identifier-naming)

struct Match {
  std::vector<std::string> hosts;    // "api.example.com" or "*.example.com"; empty: every host
  std::vector<std::string> methods;  // upper case; empty: every method
  std::string path;                  // "/exact", "/prefix/*", "/with/{segment}", "/with/{rest...}"
  std::vector<Named<std::string>> headers;  // all must have these values
  std::vector<Named<std::string>> query;
};

struct IdempotencyKey {
  std::string header = "Idempotency-Key";
  bool required = false;
};

struct RetryAfter {
  milliseconds min{1'000};
  milliseconds max{60'000};
};

// What the backend's answer must be to be a success.
struct Success {
  std::vector<StatusRange> status{StatusRange{}};
  std::vector<std::string> content_types;  // empty: any
  std::string body_matches;                // RE2, in the first 64 KiB; empty: anything
  std::string body_excludes;               // RE2, in the first 64 KiB; empty: nothing
  std::string json;                        // JSON: an object from pointers to values; empty: none
};

// How a backend is followed that answers 202 and goes on with the call by itself: where it tells of
// it is asked until it has the answer.
struct Follow {
  bool enabled = false;
  std::vector<std::string> headers{"Operation-Location", "Azure-AsyncOperation", "Location",
                                   "Content-Location"};  // of the 202; the first that is there
  milliseconds interval{5'000};
  milliseconds max_interval{60'000};
  std::string status = "/status";  // where a JSON document of 200 has its word; JSON Pointer
  std::vector<std::string> pending{
      "NotStarted", "Running",    "InProgress", "in_progress", "Queued",   "Pending",
      "Waiting",    "Accepted",   "Submitted",  "Scheduled",   "Starting", "Started",
      "Processing", "Validating", "Creating",   "Updating",    "Deleting"};
  std::vector<std::string> failed{"Failed", "Error", "Canceled", "Cancelled"};
  std::string result = "/resourceLocation";  // where the document names the result; JSON Pointer
};

struct Async {
  Mode mode = Mode::always;
  milliseconds wait{0};
  int pending_status = 200;  // 200 | 202
  Completion completion = Completion::redirect;
  int redirect_status = 302;  // 302 | 303
  Success success;
  Follow follow;
  Resend resend = Resend::idempotent;
  milliseconds job_timeout{24 * 3'600'000};
  std::optional<milliseconds> queue_timeout;  // default: job_timeout
  Priority priority = Priority::normal;
  IdempotencyKey idempotency_key;
  RetryAfter retry_after;
  std::vector<Named<TemplateText>> labels;  // of its jobs
  std::optional<milliseconds>
      retention_result;  // retention: { result }; default: jobs.retention.result
};

struct Retry {
  std::uint32_t max_attempts = 3;  // the first is counted
  bool on_connect_failure = true;
  bool on_timeout = false;
  std::vector<int> on_status{502, 503, 504, 429};
  milliseconds backoff{1'000};
  milliseconds max_backoff{60'000};
};

// What happens to the fields of a head, in this order: rename, remove, set, add, default.
struct HeaderChanges {
  std::vector<Named<std::string>> rename;  // from, to
  std::vector<std::string> remove;         // "X-Debug" or "X-Internal-*"
  std::vector<Named<TemplateText>> set;
  std::vector<Named<TemplateText>> add;
  std::vector<Named<TemplateText>> default_;  // NOLINT(readability-identifier-naming)
};

// Of the cookies that a backend sets.
struct RewriteCookies {
  std::optional<TemplateText> domain;    // in place of a Domain that is the backend's
  std::vector<Named<std::string>> path;  // from, to; whole segments
};

struct ResponseHeaders {
  HeaderChanges changes;
  bool rewrite_location = true;
  RewriteCookies rewrite_cookies;
};

// What a backend is asked for. Unset: its own host, and the path as it came.
struct Rewrite {
  std::optional<TemplateText> host;
  std::optional<TemplateText> path;
};

// Which pages of other origins may use a route from a browser. No origins: none.
struct Cors {
  std::vector<std::string>
      allow_origins;               // "https://app.example.com", "https://*.example.com", "*"
  bool allow_credentials = false;  // never with "*"
  std::vector<std::string> allow_headers;   // of requests; empty: whichever a preflight asks for
  std::vector<std::string> expose_headers;  // of answers, beside those that a job needs
  milliseconds max_age{600'000};
};

// Who is asked whether a call may go on. Neither url nor upstream: nobody.
struct Authorize {
  std::string url;       // http[s]://host[:port][/path]
  std::string upstream;  // or the name of an upstream, and
  std::string path;      // what it is asked for
  std::string method = "GET";
  milliseconds timeout{2'000};
  std::vector<std::string> copy_headers;  // of a positive answer, put onto the call
  bool polls = true;                      // asked again for status, result, cancel and erase
  milliseconds cache{0};                  // how long a positive answer is good; 0: not remembered

  // Set by load(), of either form:
  std::string service;  // the name of an upstream; one that load() adds for each origin of a url
  std::string target;

  bool is_empty() const { return service.empty(); }
  bool covers_polls() const { return !is_empty() && polls; }
};

// Questions at once to the service of one origin, over all shards.
constexpr std::uint32_t authorize_concurrency = 64;
constexpr milliseconds authorize_cache_max{60'000};

struct RouteLimits {
  std::optional<std::uint64_t> body;  // default: the listener's
};

// What is asked of one header or query parameter. By name.
struct ValueRule {
  std::string name;
  bool required = false;
  std::string pattern;  // RE2, of the whole value; empty: any
  Place place;
};

struct Validate {
  std::vector<std::string> content_types;  // of requests with a body; empty: any
  std::vector<ValueRule> headers;
  std::vector<ValueRule> query;
  std::string json_schema;  // path of a file; empty: none
  Place json_schema_place;  // set by load()
};

enum class PatchOp { add, remove, replace, move, copy, test };

// One operation of a JSON Patch (RFC 6902).
struct PatchOperation {
  PatchOp op = PatchOp::add;
  std::string path;
  std::string from;       // of move and copy
  TemplateJson value;     // of add, replace and test
  bool optional = false;  // skipped where what it speaks of is missing
  Place place;
};

struct Replacement {
  std::string from;
  TemplateText to;
  Place place;
};

// The texts to look for of one route: how many, and how long all together.
constexpr std::size_t replacements_max = 32;
constexpr std::size_t replacement_bytes_max = 4096;
constexpr std::size_t replacement_text_max = 4096;  // of one text that is put in

enum class OnFailure { pass, refuse };

// What changes in bodies, in this order: json_patch, merge_patch, replace.
struct BodyRules {
  std::vector<std::string> content_types;  // empty: those that the rules are made for
  std::uint64_t max_size = mib;            // of a body that JSON rules read whole
  OnFailure on_failure = OnFailure::pass;
  std::vector<PatchOperation> json_patch;
  TemplateJson merge_patch;
  std::vector<Replacement> replace;
};

// What a client is shown in place of a document of ours: JSON or a text. Neither: ours.
struct Document {
  std::string content_type;  // default: application/json; of a text none
  TemplateJson json;
  std::optional<TemplateText> text;
};

// What ${job.status} says of a job.
struct StateWords {
  std::string queued = "queued";
  std::string running = "running";
  std::string succeeded = "succeeded";
  std::string failed = "failed";
  std::string canceled = "canceled";
};

struct Documents {
  Document accepted;
  Document status;
  Document error;
  StateWords states;
};

struct Route {
  std::string name;  // default: the text of its match
  Match match;
  std::string upstream;
  Async async;
  Retry retry;
  Rewrite rewrite;
  HeaderChanges request_headers;
  ResponseHeaders response_headers;
  RouteLimits limits;
  Validate validate;
  Authorize authorize;
  BodyRules request_body;
  BodyRules response_body;
  Documents documents;
  Cors cors;
  Place place;
};

struct Config {
  int version = 1;
  std::vector<std::string> include;
  std::string public_url;  // without a trailing slash; empty: Location is a path
  std::vector<Listener> listeners{Listener{}};
  std::vector<std::string> trusted_proxies{"127.0.0.0/8", "::1/128"};
  bool forwarded = false;  // backends are told of clients in Forwarded (RFC 7239) too
  RequestId request_id;
  TraceContext trace_context;
  Shutdown shutdown;
  Reload reload;
  Monitoring monitoring;
  Admin admin;
  Log log;
  AccessLog access_log;
  Store store;
  Jobs jobs;
  std::vector<Upstream> upstreams;
  std::string default_upstream;  // empty: unmatched requests get 404
  std::vector<Route> routes;
};

}  // namespace raincheck::config
