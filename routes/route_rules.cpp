#include "routes/route_rules.hpp"

namespace raincheck::routes {

void RouteRules::compile(const config::Route& route,
                         const config::Upstream* upstream,
                         const PathPattern& pattern,
                         const JsonSchema::ReadFile& read,
                         std::vector<RuleProblem>& problems) {
  const Scope of_call{&pattern, true};
  const Scope of_answer{&pattern, false};
  validate = RequestCheck(route.validate, "validate", read, problems);
  rewrite = Rewrite::compile(route.rewrite, pattern, problems);
  request_headers =
      HeaderRules::compile(route.request_headers, "request_headers", of_call, problems);
  request_body = BodyRules::compile(route.request_body, "request_body", of_call, problems);
  success = SuccessCheck(route.async.success);
  follow = FollowRules(route.async.follow);
  urls = UrlMap::compile(route.response_headers, upstream, rewrite, pattern, problems);
  response_headers =
      HeaderRules::compile(route.response_headers.changes, "response_headers", of_answer, problems);
  response_body = BodyRules::compile(route.response_body, "response_body", of_answer, problems);
  documents = Documents::compile(route.documents, pattern, problems);
  labels = JobLabels::compile(route.async.labels, pattern, problems);
  cors = Cors(route.cors);
}

RouteRules::Made RouteRules::make_call(const Values& values,
                                       std::string_view lines,
                                       std::string& head,
                                       std::string& host,
                                       std::string& why) const {
  std::string target;
  if (!rewrite.make_target(values, target, why) || !rewrite.make_host(values, host, why)) {
    return Made::bad_request;
  }
  Fields fields;
  fields.assign(lines);
  std::string text;
  if (const Rendering rendering = request_headers.apply(values, fields, text); !rendering) {
    why = rendering.why();
    return Made::unreadable;
  }
  head.assign(values.method).append(" ").append(target).append("\r\n");
  fields.append_to(head);
  return Made::done;
}

void RouteRules::make_answer(const Values& values,
                             Found found,
                             std::string_view lines,
                             std::string& out) const {
  Fields fields;
  fields.assign(lines);
  std::string mapped;
  urls.apply(values, found, fields, mapped);
  std::string text;
  (void)response_headers.apply(values, fields, text);  // no secrets: it cannot fail
  fields.append_to(out);
}

}  // namespace raincheck::routes
