#include "config/check.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "config/check_tls.hpp"
#include "config/suggest.hpp"
#include "config/text.hpp"

namespace raincheck::config {
namespace {

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

std::string at(const Place& place) {
  return place.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

// One complaint if `a` is longer than `b`.
void check_order(Reading& reading,
                 const std::string& path,
                 const std::string& a_name,
                 milliseconds a,
                 const std::string& b_name,
                 milliseconds b) {
  const std::string a_path = path + "." + a_name;
  if (a <= b || reading.is_refused_within(a_path) || reading.is_refused_within(path + "." + b_name))
    return;
  reading.refuse(
      reading.place(a_path), a_path,
      "is longer (" + format_duration(a) + ") than " + b_name + " (" + format_duration(b) + ")");
}

// Names that must differ, and where each was first seen.
class Names {
 public:
  explicit Names(Reading& reading) : reading_(reading) {}

  void add(const std::string& name, const std::string& path) {
    const auto [first, is_new] = seen_.emplace(name, path);
    if (is_new) return;
    reading_.refuse(reading_.place(path), path,
                    quoted(name) + " is here twice: first at " + at(reading_.place(first->second)));
  }

 private:
  Reading& reading_;
  std::map<std::string, std::string> seen_;
};

void check_listeners(const Config& config, Reading& reading) {
  Names addresses(reading);
  Names names(reading);
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const Listener& listener = config.listeners[i];
    const std::string path = "listeners[" + std::to_string(i) + "]";
    const auto address = parse_listen_address(listener.address);
    const bool has_host = address && !address->host.empty();
    const bool is_any_port = has_host && address->port == 0;
    if (!is_any_port) addresses.add(listener.address, path + ".address");
    if (listener.is_proxied() && config.trusted_proxies.empty() && has_host) {
      reading.refuse(reading.place(path + ".proxy_protocol"), path + ".proxy_protocol",
                     "is believed of trusted_proxies only, and there are none");
    }
    if (listener.name != listener.address) names.add(listener.name, path + ".name");
    check_tls(listener.tls, reading, path + ".tls");
  }
}

void check_upstream(const Upstream& upstream, Reading& reading) {
  const std::string path = "upstreams." + upstream.name;
  const UpstreamTimeouts& timeouts = upstream.timeouts;
  check_order(reading, path + ".timeouts", "connect", timeouts.connect, "attempt",
              timeouts.attempt);
  if (timeouts.first_byte) {
    check_order(reading, path + ".timeouts", "first_byte", *timeouts.first_byte, "attempt",
                timeouts.attempt);
  }
  check_order(reading, path + ".health_check", "timeout", upstream.health_check.timeout, "interval",
              upstream.health_check.interval);
  if (upstream.abort_hold && upstream.on_abort != OnAbort::drain) {
    reading.refuse(reading.place(path + ".abort_hold"), path + ".abort_hold",
                   "means nothing without 'on_abort: drain'");
  }
  const bool by_hash = upstream.lb_policy == LbPolicy::hash;
  if (by_hash && !upstream.hash_key && !reading.is_refused_within(path)) {
    reading.refuse(reading.place(path + ".lb_policy"), path + ".lb_policy",
                   "'hash' needs a hash_key, such as ${cookie.SESSION}");
  }
  if (upstream.hash_key && !by_hash && !reading.is_refused_within(path)) {
    reading.refuse(upstream.hash_key->place, path + ".hash_key",
                   "means nothing without 'lb_policy: hash'");
  }
  if (upstream.slow_start.count() != 0 && by_hash && !reading.is_refused_within(path)) {
    reading.refuse(reading.place(path + ".slow_start"), path + ".slow_start",
                   "cannot be had with 'lb_policy: hash': a key belongs to a server or does not");
  }
  check_tls(upstream, reading);
  Names urls(reading);
  for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
    const std::string server = path + ".servers[" + std::to_string(i) + "]";
    if (!reading.is_refused_within(server)) urls.add(upstream.servers[i].authority, server);
  }
}

void check_upstream_name(const Config& config,
                         Reading& reading,
                         const std::string& name,
                         const std::string& path) {
  std::vector<std::string> known;
  for (const Upstream& upstream : config.upstreams) {
    if (!upstream.is_auth_service) known.push_back(upstream.name);
  }
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  if (reading.is_refused_within(path) || reading.is_refused_within("upstreams." + name)) return;
  reading.refuse(reading.place(path), path, "there is no upstream " + quoted(name),
                 known.empty() ? "add it under 'upstreams'" : did_you_mean(name, known));
}

void check_async(const Async& async, Reading& reading, const std::string& path) {
  const std::string here = path + ".async";
  if (async.wait >= async.job_timeout && !reading.is_refused_within(here)) {
    reading.refuse(reading.place(here + ".wait"), here + ".wait",
                   "must be shorter than job_timeout (" + format_duration(async.job_timeout) + ")");
  }
  if (async.queue_timeout) {
    check_order(reading, here, "queue_timeout", *async.queue_timeout, "job_timeout",
                async.job_timeout);
  }
  check_order(reading, here + ".follow", "interval", async.follow.interval, "max_interval",
              async.follow.max_interval);
  check_order(reading, here + ".retry_after", "min", async.retry_after.min, "max",
              async.retry_after.max);
}

// What an operation of a JSON Patch must have beside its path, and must not.
void check_operation(const PatchOperation& operation, Reading& reading, const std::string& path) {
  if (reading.is_refused_within(path)) return;
  const auto refuse = [&](const char* key, const std::string& what) {
    reading.refuse(reading.place(path), path + "." + key, what);
  };
  const bool has_from = operation.op == PatchOp::move || operation.op == PatchOp::copy;
  const bool has_value = operation.op == PatchOp::add || operation.op == PatchOp::replace ||
                         operation.op == PatchOp::test;
  if (has_value && operation.value.json.empty()) refuse("value", "is required");
  if (!has_value && !operation.value.json.empty())
    refuse("value", "means nothing to this operation");
  if (!has_from && !operation.from.empty()) refuse("from", "means nothing to this operation");
  const bool is_inside =
      operation.path != operation.from &&
      (operation.path + "/").compare(0, operation.from.size() + 1, operation.from + "/") == 0;
  if (operation.op == PatchOp::move && is_inside) {
    refuse("path", "is inside of what is moved (" + quoted(operation.from) + ")");
  }
}

std::size_t literal_bytes(const TemplateText& text) {
  std::size_t bytes = 0;
  for (const TemplateText::Part& part : text.parts) bytes += part.is_name ? 0 : part.text.size();
  return bytes;
}

void check_body_rules(const BodyRules& rules, Reading& reading, const std::string& path) {
  for (std::size_t i = 0; i < rules.json_patch.size(); ++i) {
    check_operation(rules.json_patch[i], reading, path + ".json_patch[" + std::to_string(i) + "]");
  }
  Names needles(reading);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < rules.replace.size(); ++i) {
    const std::string here = path + ".replace[" + std::to_string(i) + "]";
    if (!reading.is_refused_within(here)) needles.add(rules.replace[i].from, here + ".from");
    bytes += rules.replace[i].from.size();
    const TemplateText& to = rules.replace[i].to;
    if (literal_bytes(to) > replacement_text_max) {
      reading.refuse(to.place, here + ".to", "must not be longer than 4096 bytes");
    }
  }
  if (rules.replace.size() > replacements_max || bytes > replacement_bytes_max) {
    reading.refuse(reading.place(path + ".replace"), path + ".replace",
                   "must not have more than 32 texts to look for, with 4096 bytes in all");
  }
}

void check_success(const Success& success, Reading& reading, const std::string& path) {
  if (success.json == "{}") {
    reading.refuse(reading.place(path + ".json"), path + ".json", "must not be empty");
  }
}

void check_document(const Document& document, Reading& reading, const std::string& path) {
  if (reading.is_refused_within(path)) return;
  const bool has_json = !document.json.json.empty();
  const bool has_text = document.text.has_value();
  if (has_json && has_text) {
    reading.refuse(document.text->place, path + ".text", "cannot stand beside 'json'");
  } else if (has_text && document.content_type.empty()) {
    reading.refuse(document.text->place, path + ".content_type",
                   "is required with 'text': what is put in is escaped as it needs");
  } else if (!has_json && !has_text && !document.content_type.empty()) {
    reading.refuse(reading.place(path), path, "needs 'json' or 'text'");
  }
}

void check_documents(const Documents& documents, Reading& reading, const std::string& path) {
  check_document(documents.accepted, reading, path + ".accepted");
  check_document(documents.status, reading, path + ".status");
  check_document(documents.error, reading, path + ".error");
}

void check_cors(const Cors& cors, Reading& reading, const std::string& path) {
  const std::string here = path + ".cors";
  const auto& origins = cors.allow_origins;
  if (origins.empty() && is_written(reading, here) &&
      !is_written(reading, here + ".allow_origins")) {
    reading.refuse(reading.place(here), here + ".allow_origins", "is required");
  }
  const bool all = std::find(origins.begin(), origins.end(), "*") != origins.end();
  if (!all || !cors.allow_credentials) return;
  reading.refuse(reading.place(here + ".allow_credentials"), here + ".allow_credentials",
                 "with '*' in allow_origins every page could call as its visitor",
                 "name the origins that may");
}

void check_authorize(const Config& config,
                     const Authorize& authorize,
                     Reading& reading,
                     const std::string& path) {
  const std::string here = path + ".authorize";
  const auto refuse = [&](const char* key, const std::string& what) {
    reading.refuse(reading.place(here + key), here + key, what);
  };
  if (reading.is_refused_within(here)) return;
  const bool has_url = !authorize.url.empty();
  const bool has_upstream = !authorize.upstream.empty();
  if (!has_url && !has_upstream) {
    if (is_written(reading, here)) refuse("", "needs a url, or an upstream and a path");
    return;
  }
  if (has_url && has_upstream) {
    refuse(".upstream", "stands in place of url: there is one already");
  } else if (has_url && !authorize.path.empty()) {
    refuse(".path", "belongs to upstream: a url has its own");
  } else if (!has_url && authorize.path.empty()) {
    refuse(".path", "is required");
  }
  if (has_upstream) check_upstream_name(config, reading, authorize.upstream, here + ".upstream");
  if (authorize.cache > authorize_cache_max) refuse(".cache", "must not be longer than 1m");
  Names names(reading);
  for (std::size_t i = 0; i < authorize.copy_headers.size(); ++i) {
    const std::string field = here + ".copy_headers[" + std::to_string(i) + "]";
    const std::string name = lower_case(authorize.copy_headers[i]);
    names.add(name, field);
    if (name == lower_case(config.request_id.header)) {
      reading.refuse(reading.place(field), field, "is request_id.header, which is ours to write");
    }
  }
}

// `match` takes whatever method, header and query the requests of a path have.
bool takes_all_of(const Match& match, const Match& of) {
  if (!match.methods.empty() || !match.headers.empty() || !match.query.empty()) return false;
  if (!match.hosts.empty() && match.hosts != of.hosts) return false;
  if (match.path == of.path) return true;
  const std::string_view path = match.path;
  return path.ends_with("/*") && (of.path + "/").starts_with(path.substr(0, path.size() - 1));
}

// What a guarded route leaves to default_upstream goes there unasked.
void check_leftovers(const Config& config,
                     const Route& route,
                     Reading& reading,
                     const std::string& path) {
  const Match& match = route.match;
  if (config.default_upstream.empty() || route.authorize.is_empty() || match.path.empty()) return;
  const bool is_taken =
      std::any_of(config.routes.begin(), config.routes.end(),
                  [&match](const Route& other) { return takes_all_of(other.match, match); });
  if (is_taken) return;
  reading.warn(reading.place(path + ".match"), path + ".match",
               "other requests for " + quoted(match.path) +
                   " go to default_upstream, and authorize asks nobody about them");
}

void check_routes(const Config& config, Reading& reading) {
  Names names(reading);
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const Route& route = config.routes[i];
    const std::string path = "routes[" + std::to_string(i) + "]";
    // Two routes that are named by the same match are two routes with the same match: the route
    // table says so.
    if (route.name != format_match(route.match)) names.add(route.name, path + ".name");
    if (!route.upstream.empty()) {
      check_upstream_name(config, reading, route.upstream, path + ".upstream");
    } else if (!reading.is_refused(path) && !reading.is_refused(path + ".upstream")) {
      reading.refuse(route.place, path + ".upstream", "is required");
    }
    check_async(route.async, reading, path);
    check_success(route.async.success, reading, path + ".async.success");
    check_body_rules(route.request_body, reading, path + ".request_body");
    check_body_rules(route.response_body, reading, path + ".response_body");
    check_documents(route.documents, reading, path + ".documents");
    check_cors(route.cors, reading, path);
    check_authorize(config, route.authorize, reading, path);
    check_leftovers(config, route, reading, path);
    check_order(reading, path + ".retry", "backoff", route.retry.backoff, "max_backoff",
                route.retry.max_backoff);
    const std::string& base = config.jobs.base_path;
    if (route.match.path == base || route.match.path.compare(0, base.size() + 1, base + "/") == 0) {
      reading.warn(reading.place(path + ".match"), path + ".match",
                   "is never reached: jobs.base_path is " + quoted(base));
    }
  }
}

// Calls that the servers allow together: more of them would only wait outside the queue.
std::uint32_t room_of(const std::vector<Server>& servers) {
  constexpr std::uint64_t no_limit = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t room = 0;
  for (const Server& server : servers) {
    room += server.max_concurrency == 0 ? no_limit : server.max_concurrency;
  }
  return static_cast<std::uint32_t>(servers.empty() ? no_limit : std::min(room, no_limit));
}

// A service that is asked by its url is an upstream that no route leads to, one for each origin.
void derive_service(Config& config, Authorize& authorize, const Place& place) {
  if (authorize.url.empty()) {
    authorize.service = authorize.upstream;
    authorize.target = authorize.path;
    return;
  }
  const UrlParts url = split_url(authorize.url);
  authorize.target = url.target.empty() ? "/" : url.target;
  const auto origin = parse_origin(url.origin);
  authorize.service = (origin->is_tls ? "https://" : "http://") + origin->authority;
  const auto is_same = [&](const Upstream& other) { return other.name == authorize.service; };
  if (std::any_of(config.upstreams.begin(), config.upstreams.end(), is_same)) return;
  Upstream& service = config.upstreams.emplace_back();
  service.name = authorize.service;
  service.is_auth_service = true;
  service.place = place;
  service.servers.emplace_back().url = url.origin;
  service.max_concurrency = authorize_concurrency;
  service.outlier_detection.consecutive_errors = 0;
}

// The first of the directories that systemd names there, in a list separated by colons.
std::string first_directory(const Environment& environment, const std::string& variable) {
  const std::string all = environment.variable(variable).value_or("");
  return all.substr(0, all.find(':'));
}

}  // namespace

std::string beside(const std::string& file, const std::string& path) {
  const std::size_t slash = file.rfind('/');
  if (path.front() == '/' || slash == file.npos) return path;
  return file.substr(0, slash + 1) + path;
}

bool is_written(const Reading& reading, const std::string& path) {
  const Place here = reading.place(path);
  const Place around = reading.place(path.substr(0, path.rfind('.')));
  return here.line != around.line || here.column != around.column;
}

void derive(Config& config, const Environment& environment, const Reading& reading) {
  if (config.listeners.empty()) config.listeners.emplace_back();
  for (Listener& listener : config.listeners) {
    if (listener.name.empty()) listener.name = listener.address;
  }
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    derive_tls(config.listeners[i].tls, reading, "listeners[" + std::to_string(i) + "].tls");
  }
  for (Route& route : config.routes) derive_service(config, route.authorize, route.place);
  for (Upstream& upstream : config.upstreams) {
    derive_tls(upstream, reading);
    for (Server& server : upstream.servers) {
      if (server.place.line == 0) server.place = upstream.place;
      const auto origin = parse_origin(server.url);
      if (!origin) continue;  // refused already
      server.is_tls = origin->is_tls;
      server.host = origin->host;
      server.port = origin->port;
      server.authority = origin->authority;
    }
    upstream.max_concurrency = std::min(upstream.max_concurrency, room_of(upstream.servers));
  }
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    Route& route = config.routes[i];
    if (route.name.empty()) route.name = format_match(route.match);
    Validate& validate = route.validate;
    if (validate.json_schema.empty()) continue;
    validate.json_schema_place =
        reading.place("routes[" + std::to_string(i) + "].validate.json_schema");
    validate.json_schema = beside(validate.json_schema_place.file, validate.json_schema);
  }
  if (config.store.directory.empty()) {
    const std::string state = first_directory(environment, "STATE_DIRECTORY");
    config.store.directory = state.empty() ? "./raincheck-data" : state;
  }
  if (config.admin.socket.empty()) {
    const std::string runtime = first_directory(environment, "RUNTIME_DIRECTORY");
    if (!runtime.empty()) config.admin.socket = runtime + "/admin.sock";
  }
}

void check(const Config& config, Reading& reading) {
  check_listeners(config, reading);
  for (const Upstream& upstream : config.upstreams) check_upstream(upstream, reading);
  check_routes(config, reading);
  if (!config.default_upstream.empty()) {
    check_upstream_name(config, reading, config.default_upstream, "default_upstream");
  }
  if (config.store.partitions > 1) {
    reading.refuse(reading.place("store.partitions"), "store.partitions",
                   "more than one partition is not built yet in this version");
  }
  if (config.routes.empty() && config.default_upstream.empty() && !reading.is_refused_within("")) {
    reading.warn({}, "", "no routes and no default_upstream: every request gets 404");
  }
}

}  // namespace raincheck::config
