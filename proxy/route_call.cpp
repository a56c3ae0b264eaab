#include "proxy/route_call.hpp"

#include <functional>
#include <optional>

#include "config/interpolate.hpp"
#include "proxy/balance.hpp"
#include "proxy/fields.hpp"

namespace raincheck::proxy {

using routes::RouteRules;

namespace {

const std::function<std::optional<std::string>(std::string_view)>& secrets() {
  static const config::Environment environment = config::Environment::process();
  static const std::function<std::optional<std::string>(std::string_view)> read =
      [](std::string_view reference) { return config::read_secret(reference, environment); };
  return read;
}

}  // namespace

RouteCall::RouteCall(const Site& site,
                     const SiteRoute& route,
                     std::string_view stored,
                     std::string_view request_id,
                     std::string job_id)
    : site_(site),
      route_(route),
      stored_(stored),
      request_id_(request_id),
      job_id_(std::move(job_id)) {}

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
  values_.client_address = client_address(
      fields_, [this](std::string_view address) { return site_.trusted().contains(address); });
  values_.request_id = request_id_;
  values_.job_id = job_id_;
  if (route_.config) values_.route_name = route_.config->name;
  values_.public_url = site_.config().public_url;
  values_.secret = &secrets();
  return values_;
}

RouteRules::Made RouteCall::make() {
  is_changed_ = route_.rules->changes_calls();
  if (!is_changed_) return RouteRules::Made::done;
  const std::string_view lines = stored_.substr(stored_.find("\r\n") + 2);
  return route_.rules->make_call(values(), lines, head_, host_, why_);
}

std::optional<std::uint64_t> RouteCall::balance_key() {
  const routes::Template* const key = site_.table().hash_key(route_.upstream);
  if (!key) return std::nullopt;
  std::string text;
  if (!key->render(values(), routes::Form::text, text)) return std::nullopt;
  return hash_text(text);
}

void RouteCall::change_answer(std::string& lines, bool concerned, routes::Found found) {
  if (!concerned && route_.rules->response_headers.is_empty()) return;
  std::string changed;
  route_.rules->make_answer(values(), found, lines, changed);
  lines = std::move(changed);
}

}  // namespace raincheck::proxy
