#include "proxy/explain.hpp"

#include <algorithm>
#include <functional>
#include <optional>

#include "proxy/exchange.hpp"
#include "proxy/fields.hpp"
#include "proxy/route_call.hpp"
#include "routes/listing.hpp"
#include "routes/path.hpp"

namespace raincheck::proxy {
namespace {

constexpr std::string_view client_address_shown = "192.0.2.1";  // RFC 5737: nobody's
constexpr std::string_view request_id_shown = "REQUEST-ID";
constexpr std::string_view pseudonym_shown = "raincheck-ID";  // the store knows it

// A question taken apart; views into it and into `buffer`.
struct Parsed {
  RequestHead head;
  routes::Target target;
  std::string_view scheme = "http";
  std::string why;  // not empty: it is no request
};

void parse_url(std::string_view url, Parsed& out) {
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

Parsed parse(const Question& question, std::string& buffer) {
  Parsed out;
  out.head.method = question.method;
  if (!is_token(question.method)) out.why = "'" + question.method + "' is not a method";
  parse_url(question.url, out);
  parse_fields(question.headers, out);
  std::string_view why;
  if (const auto target = routes::normalize(out.head.target, buffer, why)) {
    out.target = *target;
  } else if (out.why.empty()) {
    out.why = std::string(why);
  }
  return out;
}

const config::Upstream* find_upstream(const config::Config& config, const std::string& name) {
  const auto found = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                                  [&](const auto& upstream) { return upstream.name == name; });
  return found == config.upstreams.end() ? nullptr : &*found;
}

std::string lines_of(const Parsed& asked, const config::Config& config) {
  Identity identity;
  identity.client_address = client_address_shown;
  identity.scheme = asked.scheme;
  identity.host = asked.head.authority;
  identity.pseudonym = pseudonym_shown;
  identity.request_id = request_id_shown;
  identity.request_id_header = config.request_id.header;
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
  values.fields = &asked.head.fields;
  values.client_address = client_address_shown;
  values.request_id = request_id_shown;
  values.job_id = match.route->async.mode == config::Mode::never ? "" : "JOB-ID";
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

std::string show_call(const Parsed& asked,
                      const config::Config& config,
                      const routes::RouteMatch& match,
                      const std::string& data) {
  const config::Upstream* const upstream = find_upstream(config, match.route->upstream);
  if (upstream == nullptr || upstream->servers.empty()) return "";
  routes::Values values = values_of(asked, config, match);
  const std::function<std::optional<std::string>(std::string_view)> hidden = [](std::string_view) {
    return "***";
  };
  values.secret = &hidden;
  const routes::BodyRules& rules = match.rules->request_body;
  const auto plan = routes::BodyPlan::make(rules, facts_of(asked.head.fields));
  const auto body = change_body(rules, plan, values, data);
  if (!body.body || body.is_refused) return "\nNo call is made: " + body.why + ".\n";
  std::string lines = lines_of(asked, config);
  drop_untrue(lines, change_of(plan));
  std::string head;
  std::string host = upstream->servers.front().authority;
  std::string why;
  const auto made = match.rules->make_call(values, lines, head, host, why);
  if (made != routes::RouteRules::Made::done) {
    return "\nNo call is made: " + why + ".\n";
  }
  std::string text = "\nThe call to " + upstream->name + ":\n\n";
  text += render_head(head, host, body.body->size()) + *body.body;
  if (!body.body->empty()) text += '\n';
  if (!body.why.empty()) text += "\nNot all rules for its body apply: " + body.why + ".\n";
  return text;
}

}  // namespace

Explanation explain(const config::Config& config,
                    const routes::RouteTable& table,
                    const Question& question) {
  std::string buffer;
  const Parsed asked = parse(question, buffer);
  if (!asked.why.empty()) return {false, asked.why};
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
  if (match) out.text += show_call(asked, config, match, question.data);
  return out;
}

}  // namespace raincheck::proxy
