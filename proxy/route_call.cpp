#include "proxy/route_call.hpp"

#include <functional>
#include <optional>

#include "config/interpolate.hpp"
#include "proxy/balance.hpp"
#include "proxy/certificates.hpp"
#include "proxy/fields.hpp"
#include "routes/body_fields.hpp"

namespace raincheck::proxy {

using routes::RouteRules;

namespace {

// A request whose answer rules can change: whole, and in codings that we know.
std::string ask_for_changeable(std::string_view lines) {
  routes::Fields fields;
  fields.assign(lines);
  std::string out;
  for (const routes::Field& field : fields) {
    if (routes::asks_for_ranges(field.name)) continue;
    if (routes::is_same_name(field.name, "Accept-Encoding")) {
      (void)append_field(out, field.name, routes::known_encodings(field.value));
    } else {
      (void)append_field(out, field.name, field.value);
    }
  }
  return out;
}

const std::function<std::optional<std::string>(std::string_view)>& secrets() {
  static const config::Environment environment = config::Environment::process();
  static const std::function<std::optional<std::string>(std::string_view)> read =
      [](std::string_view reference) { return config::read_secret(reference, environment); };
  return read;
}

}  // namespace

BodyChange change_of(const routes::BodyPlan& plan) {
  if (!plan.changes()) return BodyChange::none;
  return plan.coding == routes::ContentCoding::identity ? BodyChange::changed
                                                        : BodyChange::encoded_again;
}

void drop_untrue(std::string& lines, BodyChange change) {
  if (change == BodyChange::none) return;
  routes::Fields fields;
  fields.assign(lines);
  std::string weakened;
  std::string kept;
  for (const routes::Field& field : fields) {
    std::string_view value = field.value;
    switch (routes::fate_of_field(field.name, change == BodyChange::encoded_again)) {
      case routes::FieldFate::removed:
        continue;
      case routes::FieldFate::weakened: {
        const std::optional<std::string> weak = routes::weak_etag(value);
        if (!weak) continue;
        weakened = *weak;
        value = weakened;
        break;
      }
      case routes::FieldFate::kept:
        break;
    }
    (void)append_field(kept, field.name, value);
  }
  lines = std::move(kept);
}

routes::BodyFacts facts_of(const routes::Fields& fields) {
  routes::BodyFacts facts;
  facts.content_type = fields.find("Content-Type").value_or("");
  facts.content_encoding = routes::content_encoding_of(fields);
  facts.is_partial = fields.find("Content-Range").has_value();
  return facts;
}

RouteCall::RouteCall(Warnings& warnings,
                     const Site& site,
                     const SiteRoute& route,
                     std::string_view stored,
                     std::string_view request_id,
                     std::string job_id)
    : warnings_(warnings),
      site_(site),
      route_(route),
      stored_(stored),
      request_id_(request_id),
      job_id_(std::move(job_id)) {
  take_certificate();
}

// What is known of the client's certificate stands before the fields, and is no backend's to see
// but by rules.
void RouteCall::take_certificate() {
  const std::size_t begin = stored_.find("\r\n") + 2;
  std::string_view rest = stored_.substr(begin);
  if (!rest.starts_with(client_certificate_prefix)) return;
  while (rest.starts_with(client_certificate_prefix)) {
    rest.remove_prefix(client_certificate_prefix.size());
    const std::size_t end = rest.find("\r\n") + 2;
    certificate_lines_.append(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  certificate_.assign(certificate_lines_);
  without_certificate_.append(stored_.substr(0, begin)).append(rest);
  stored_ = without_certificate_;
}

const routes::Values& RouteCall::values() {
  if (has_values_) return values_;
  has_values_ = true;
  const std::size_t line_end = stored_.find("\r\n");
  const std::string_view line = stored_.substr(0, line_end);
  fields_.assign(stored_.substr(line_end + 2));
  values_.method = line.substr(0, line.find(' '));
  values_.target = routes::split_target(line.substr(values_.method.size() + 1));
  values_.scheme = fields_.find("X-Forwarded-Proto").value_or("");
  values_.host = fields_.find("X-Forwarded-Host").value_or("");
  values_.pattern = route_.pattern;
  values_.fields = &fields_;
  values_.certificate = &certificate_;
  values_.client_address = client_address(
      fields_, [this](std::string_view address) { return site_.trusted().contains(address); });
  values_.request_id = request_id_;
  values_.job_id = job_id_;
  values_.route_name = route_.config->name;
  values_.public_url = site_.config().public_url;
  values_.secret = &secrets();
  return values_;
}

bool RouteCall::show(const routes::Document& document,
                     const routes::DocumentValues& of,
                     std::string& out) {
  routes::Values with = values();
  with.document = &of;
  // A request about a job has a path of ours.
  if (!with.pattern->matches(with.target.path)) with.pattern = nullptr;
  return document.render(with, out);
}

std::unique_ptr<routes::BodyRewriter> RouteCall::rewriter(const routes::BodyPlan& plan,
                                                          std::string& why) {
  const routes::BodyRules& body = route_.rules->response_body;
  routes::BodyValues rendered;
  if (body.render(plan, values(), rendered, why) != routes::BodyRules::Outcome::done) {
    return nullptr;
  }
  if (!why.empty()) warn_of_answer(why);
  return std::make_unique<routes::BodyRewriter>(body, plan, std::move(rendered));
}

const routes::BodyPlan& RouteCall::body_plan() {
  if (body_plan_) return *body_plan_;
  body_plan_.emplace();
  const routes::BodyRules& body = route_.rules->request_body;
  if (!body.is_empty()) *body_plan_ = routes::BodyPlan::make(body, facts_of(*values().fields));
  return *body_plan_;
}

RouteCall::BodyDecision RouteCall::decide_body(routes::BodyValues& rendered) {
  const routes::BodyPlan& plan = body_plan();
  if (plan.way == routes::BodyPlan::Way::refused) return {false, plan.status, plan.why};
  BodyDecision out{plan.changes(), 0, plan.why};
  if (out.is_changed) {
    switch (route_.rules->request_body.render(plan, values(), rendered, out.why)) {
      case routes::BodyRules::Outcome::done:
        break;
      case routes::BodyRules::Outcome::refused:
        return {false, 422, out.why};
      case routes::BodyRules::Outcome::unreadable:
        return {false, 500, out.why};
    }
  }
  if (!out.why.empty()) warn_of_call(out.why);
  return out;
}

void RouteCall::warn_of_call(std::string_view why) const {
  warnings_.unchanged_body(route_.config->name, "a call", why);
}

void RouteCall::warn_of_answer(std::string_view why) const {
  warnings_.unchanged_body(route_.config->name, "an answer", why);
}

RouteRules::Made RouteCall::make() {
  const bool changes_answers = !route_.rules->response_body.is_empty();
  const BodyChange body = change_of(body_plan());
  is_changed_ = route_.rules->changes_calls() || changes_answers || body != BodyChange::none;
  if (!is_changed_) return RouteRules::Made::done;
  std::string lines(stored_.substr(stored_.find("\r\n") + 2));
  if (changes_answers) lines = ask_for_changeable(lines);
  drop_untrue(lines, body);
  return route_.rules->make_call(values(), lines, head_, host_, why_);
}

std::optional<std::uint64_t> RouteCall::balance_key() {
  const routes::Template* const key = site_.table().hash_key(route_.upstream);
  if (!key) return std::nullopt;
  std::string text;
  if (!key->render(values(), routes::Form::text, text)) return std::nullopt;
  return hash_text(text);
}

void RouteCall::change_answer(std::string& lines,
                              bool concerned,
                              routes::Found found,
                              BodyChange change) {
  drop_untrue(lines, change);
  if (!concerned && route_.rules->response_headers.is_empty()) return;
  std::string changed;
  route_.rules->make_answer(values(), found, lines, changed);
  lines = std::move(changed);
}

}  // namespace raincheck::proxy
