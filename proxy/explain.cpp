#include "proxy/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "proxy/exchange.hpp"
#include "proxy/explain_checks.hpp"
#include "proxy/fields.hpp"
#include "proxy/request_parser.hpp"
#include "proxy/route_call.hpp"
#include "proxy/submission_terms.hpp"
#include "routes/auth_fields.hpp"
#include "routes/default_route.hpp"
#include "routes/listing.hpp"
#include "routes/path.hpp"

namespace raincheck::proxy {
namespace {

constexpr std::string_view client_address_shown = "192.0.2.1";  // RFC 5737: nobody's
constexpr std::string_view request_id_shown = "REQUEST-ID";
constexpr std::string_view traceparent_shown = "00-TRACE-ID-PARENT-ID-01";
constexpr std::string_view pseudonym_shown = "raincheck-ID";  // the store knows it

// A question taken apart; views into it, into `buffer`, and later into what write() makes of it.
struct Parsed {
  RequestHead head;
  routes::Target target;
  std::string_view scheme = "http";
  std::string why;  // not empty: it is no request
};

void parse_url(std::string_view url, Parsed& out) {
  if (!is_field_value(url) || url.find_first_of(" \t") != url.npos) {
    out.why = "the URL holds a space or a control character";
  }
  const std::size_t scheme = url.find("://");
  if (url.starts_with('/') || scheme == url.npos) {
    out.head.target = url;
    return;
  }
  out.scheme = url.substr(0, scheme);
  url.remove_prefix(scheme + 3);
  const std::size_t path = url.find_first_of("/?");
  const auto authority = parse_authority(url.substr(0, path));
  if (out.scheme != "http" && out.scheme != "https") out.why = "a URL begins with http or https";
  if (!authority) out.why = "the URL has no valid host";
  out.head.authority = authority.value_or("");
  out.head.target = path == url.npos ? "/" : url.substr(path);
}

void parse_fields(const std::vector<std::string>& headers, Parsed& out) {
  for (const std::string_view header : headers) {
    const std::size_t colon = header.find(':');
    const std::string_view name = header.substr(0, colon);
    const std::string_view value =
        colon == header.npos ? std::string_view() : jobs::trim(header.substr(colon + 1));
    if (colon == header.npos || !is_token(name) || !is_field_value(value)) {
      out.why = "'" + std::string(header) + "' is not a header: write 'Name: value'";
    }
    if (is_same_name(name, "Host")) out.head.authority = value;
    out.head.fields.push_back({name, value});
  }
}

Parsed parse(const Question& question) {
  Parsed out;
  out.head.method = question.method;
  if (!is_token(question.method)) out.why = "'" + question.method + "' is not a method";
  parse_url(question.url, out);
  parse_fields(question.headers, out);
  return out;
}

const config::Upstream* find_upstream(const config::Config& config, const std::string& name) {
  const auto found = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                                  [&](const auto& upstream) { return upstream.name == name; });
  return found == config.upstreams.end() ? nullptr : &*found;
}

std::string shown_name(const config::Upstream& upstream) {
  return upstream.name + (upstream.servers.front().is_tls ? ", over TLS" : "");
}

bool speaks_tls(const config::Listener& listener) {
  return !listener.tls.certificates.empty();
}

// What stands for a client's certificate, where one may be shown.
const routes::Fields* shown_certificate(const config::Config& config) {
  static const routes::Fields shown = [] {
    routes::Fields fields;
    fields.push_back({"subject", "CLIENT-SUBJECT"});
    fields.push_back({"issuer", "CLIENT-ISSUER"});
    fields.push_back({"serial", "CLIENT-SERIAL"});
    fields.push_back({"fingerprint", "CLIENT-FINGERPRINT"});
    fields.push_back({"san", "CLIENT-SAN"});
    return fields;
  }();
  const bool is_asked_for = std::any_of(
      config.listeners.begin(), config.listeners.end(),
      [](const auto& listener) { return listener.tls.client_auth != config::ClientAuth::none; });
  return is_asked_for ? &shown : nullptr;
}

std::string lines_of(const Parsed& asked, const config::Config& config) {
  Identity identity;
  identity.client_address = client_address_shown;
  identity.scheme = asked.scheme;
  identity.host = asked.head.authority;
  identity.pseudonym = pseudonym_shown;
  identity.request_id = request_id_shown;
  identity.request_id_header = config.request_id.header;
  identity.forwarded = config.forwarded;
  if (config.trace_context.generate) identity.traceparent = traceparent_shown;
  std::string lines;
  append_request_fields(lines, asked.head, identity);
  return lines;
}

routes::Values values_of(const Parsed& asked,
                         const config::Config& config,
                         const routes::RouteMatch& match) {
  routes::Values values;
  values.method = asked.head.method;
  values.scheme = asked.scheme;
  values.host = asked.head.authority;
  values.target = asked.target;
  values.pattern = match.pattern;
  values.client_address = client_address_shown;
  values.certificate = shown_certificate(config);
  values.request_id = request_id_shown;
  const bool is_job = makes_job(match.route->async, prefer_of(asked.head.fields), asked.head);
  values.job_id = is_job ? "JOB-ID" : "";
  values.route_name = match.route->name;
  values.public_url = config.public_url;
  return values;
}

// The body as the backend would get it; without one there is no call. `why` says why it stays as it
// is, or why there is none.
routes::BodyRewriter::Rewritten change_body(const routes::BodyRules& rules,
                                            const routes::BodyPlan& plan,
                                            const routes::Values& values,
                                            const std::string& data) {
  using Way = routes::BodyPlan::Way;
  if (plan.way == Way::refused) return {std::nullopt, plan.why, true, plan.status};
  if (!plan.changes() || data.empty()) return {data, plan.why, false, 0};
  routes::BodyValues rendered;
  std::string why;
  if (rules.render(plan, values, rendered, why) != routes::BodyRules::Outcome::done) {
    return {std::nullopt, why, true, 422};
  }
  routes::BodyRewriter rewriter(rules, plan, std::move(rendered));
  if (plan.way == Way::whole) {
    routes::BodyRewriter::Rewritten made = rewriter.rewrite(data);
    if (!made.body && !made.is_refused) made.body = data;
    if (made.why.empty()) made.why = why;
    return made;
  }
  std::string out;
  std::string bad = rewriter.write(data, out);
  if (bad.empty()) bad = rewriter.finish(out);
  if (bad.empty()) return {out, why, false, 0};
  return {data, bad, rules.refuses(), 415};
}

// The request with what a positive answer brings, which nobody knows, in place of its own fields.
Parsed with_copied(Parsed asked, const config::Authorize& authorize) {
  for (const std::string& name : authorize.copy_headers) {
    asked.head.fields.erase_if(
        [&name](const Field& field) { return is_same_name(field.name, name); });
    asked.head.fields.push_back({name, "***"});
  }
  return asked;
}

// The question whether the call may be made.
std::string show_question(const Parsed& asked,
                          const config::Config& config,
                          const config::Authorize& authorize) {
  const config::Upstream* const service = find_upstream(config, authorize.service);
  if (service == nullptr || service->servers.empty()) return "";
  const std::string lines = lines_of(asked, config);
  const routes::AuthSubject subject{asked.head.method, asked.target.text, lines};
  const std::string head = routes::auth_question(authorize.method, authorize.target, subject);
  return "\nThe question to " + shown_name(*service) + ", which comes first:\n\n" +
         render_head(head, service->servers.front().authority, 0);
}

// The checks, what follows, and what the backends get.
std::string show_route(const Parsed& question,
                       const config::Config& config,
                       const routes::RouteMatch& match,
                       const std::string& data) {
  const config::Upstream* const upstream = find_upstream(config, match.route->upstream);
  if (upstream == nullptr || upstream->servers.empty()) return "";
  const Parsed asked = with_copied(question, match.route->authorize);
  routes::Values values = values_of(asked, config, match);
  const std::function<std::optional<std::string>(std::string_view)> hidden = [](std::string_view) {
    return "***";
  };
  values.secret = &hidden;
  const routes::BodyRules& rules = match.rules->request_body;
  const auto plan = routes::BodyPlan::make(rules, facts_of(asked.head.fields));
  std::string lines = lines_of(asked, config);
  Fields fields;
  fields.assign(lines);
  values.fields = &fields;
  const auto body = change_body(rules, plan, values, data);
  std::string call_lines = lines;
  drop_untrue(call_lines, change_of(plan));
  std::string head;
  std::string host = upstream->servers.front().authority;
  std::string why;
  const auto made = match.rules->make_call(values, call_lines, head, host, why);
  const Checked checked{asked.head, asked.target, data, head, made, why, body};
  const Checks checks = check_all(checked, config, match);
  std::string out = show(checks);
  if (checks.asks) out += show_question(question, config, match.route->authorize);
  if (checks.refused != 0) return out;
  out += "\nThe call to " + shown_name(*upstream) + ":\n\n";
  std::string call = render_head(head, host, body.body->size());
  call.resize(call.size() - std::string_view("\r\n").size());
  append_upgrade(call, asked.head.upgrade);
  out += call + "\r\n" + *body.body;
  return body.body->empty() ? out : out + "\n";
}

// As a client would write it.
std::string write(const Parsed& asked, std::size_t body_size) {
  const std::string_view host = asked.head.authority.empty() ? "localhost" : asked.head.authority;
  std::string out =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", asked.head.method, asked.head.target, host);
  const Fields& fields = asked.head.fields;
  for (const Field& field : fields) {
    if (!is_same_name(field.name, "Host")) (void)append_field(out, field.name, field.value);
  }
  const bool is_framed = fields.count("Content-Length") + fields.count("Transfer-Encoding") != 0;
  if (body_size != 0 && !is_framed) out += fmt::format("Content-Length: {}\r\n", body_size);
  return out + "\r\n";
}

RequestLimits gate_limits(const config::Config& config) {
  const config::ListenerLimits& limits = config.listeners.front().limits;
  return {limits.request_line, limits.headers, limits.header_count};
}

// Empty: it is none, or of a route that says nothing of origins.
std::string show_preflight(const Parsed& asked,
                           const routes::RouteTable& table,
                           routes::Asked call) {
  call.method = routes::Cors::asked_method(asked.head.method, asked.head.fields);
  call.is_preflight = true;
  if (call.method.empty()) return "";
  const routes::RouteMatch match = table.match(call);
  if (!match || match.rules->cors.is_empty()) return "";
  std::string lines;
  match.rules->cors.append_preflight(asked.head.fields, call.method, lines);
  return "a preflight for route '" + match.route->name + "', answered here with 204:\n\n" + lines;
}

std::string refused_with(int status, std::string_view detail) {
  return fmt::format("Refused with {}: {}\n", status, detail);
}

// For a request that no route takes, where nothing else does.
std::string show_refusal(bool is_path_known,
                         const routes::RouteTable& table,
                         const routes::Asked& asked) {
  std::string out = "\nWhat follows: it is refused with ";
  if (!is_path_known) return out + "404\n";
  return out + "405, and Allow: " + table.allowed_methods(asked) + "\n";
}

}  // namespace

Explanation explain(const config::Config& config,
                    const routes::RouteTable& table,
                    const Question& question) {
  Parsed asked = parse(question);
  if (!asked.why.empty()) return {false, asked.why};
  const bool has_scheme = question.url.find("://") != question.url.npos;
  if (!has_scheme && speaks_tls(config.listeners.front())) asked.scheme = "https";
  const std::string bytes = write(asked, question.data.size());
  RequestParser gate;
  if (gate.parse(bytes, gate_limits(config)) != Parse::done) {
    const Rejection& rejection = gate.rejection();
    return {true, refused_with(rejection.status, rejection.detail)};
  }
  asked.head = gate.head();
  if (asked.head.target == "*") return {true, "Answered here with 204: it asks for no path\n"};
  std::string buffer;
  std::string_view why;
  const auto target = routes::normalize(asked.head.target, buffer, why);
  if (!target) return {true, refused_with(400, why)};
  asked.target = *target;
  const routes::Asked what = {asked.head.method, asked.head.authority, asked.target.path,
                              asked.target.query, &asked.head.fields};
  const std::string& base = config.jobs.base_path;
  if (asked.target.path == base || asked.target.path.starts_with(base + "/")) {
    return {true,
            "Path " + std::string(asked.target.path) + " belongs to jobs: no route is asked\n"};
  }
  const routes::RouteMatch match = table.match(what);
  Explanation out;
  out.text = "Path " + std::string(asked.target.path) + ": ";
  const std::string preflight = show_preflight(asked, table, what);
  if (!preflight.empty()) return {true, out.text + preflight};
  if (match) {
    out.text += "route '" + match.route->name + "'\n\n";
  } else {
    out.text += config.default_upstream.empty()
                    ? "no route\n\n"
                    : "no route, so the default upstream '" + config.default_upstream + "'\n\n";
  }
  for (const routes::Reason& reason : routes::explain_match(config, table, what)) {
    out.text += (reason.is_taken ? "> " : "  ") + reason.route->name + ": " + reason.why + "\n";
  }
  if (match) {
    out.text += show_route(asked, config, match, question.data);
  } else if (config.default_upstream.empty()) {
    out.text += show_refusal(match.is_path_known, table, what);
  } else {
    const routes::DefaultRoute route(*find_upstream(config, config.default_upstream));
    out.text +=
        show_route(asked, config, {&route.config, nullptr, &route.rules, false}, question.data);
  }
  return out;
}

}  // namespace raincheck::proxy
