#include "proxy/explain_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/text.hpp"
#include "proxy/pinned.hpp"
#include "proxy/submission_terms.hpp"
#include "proxy/validate.hpp"

namespace raincheck::proxy {

namespace {

using Verdict = Check::Verdict;

class Checker {
 public:
  Checker(const Checked& request, const config::Config& config, const routes::RouteMatch& match)
      : request_(request),
        config_(config),
        match_(match),
        async_(match.route->async),
        prefer_(prefer_of(request.head.fields)),
        is_job_(makes_job(async_, prefer_, request.head)) {}

  Checks all() {
    size();
    mode();
    if (is_job_) {
      key();
      validate();
    }
    authorize();
    rules();
    if (is_job_) credentials();
    request_body();
    cors();
    const int refused = out_.refused;
    out_.follows = refused != 0 ? fmt::format("it is refused with {}", refused) : outcome();
    return std::move(out_);
  }

 private:
  void tell(const char* name, std::string text) {
    out_.checks.push_back({Verdict::told, name, std::move(text)});
  }
  // `status` 0: it passes.
  void judge(int status, const char* name, std::string text) {
    if (out_.refused == 0) out_.refused = status;
    if (status != 0) text += fmt::format(": {}", status);
    out_.checks.push_back(
        {status == 0 ? Verdict::passed : Verdict::refused, name, std::move(text)});
  }

  void size() {
    // Of several listeners the first stands for all.
    const std::uint64_t max =
        match_.route->limits.body.value_or(config_.listeners.front().limits.body);
    judge(request_.body.size() > max ? 413 : 0, "size",
          fmt::format("{} bytes of body, of {} at most", request_.body.size(),
                      config::format_size(max)));
  }

  void mode() {
    switch (async_.mode) {
      case config::Mode::always:
        return tell("mode", is_job_ ? "always" : "always, but not for an upgrade");
      case config::Mode::prefer:
        if (is_job_) return tell("mode", "prefer, and Prefer asks for respond-async");
        return tell("mode", prefer_.respond_async ? "prefer, but not for an upgrade"
                                                  : "prefer, and Prefer does not ask for "
                                                    "respond-async");
      case config::Mode::never:
        return tell("mode", "never");
    }
  }

  void key() {
    std::string problem;
    const auto key = key_of(async_.idempotency_key, request_.head.fields, problem);
    const std::string& header = async_.idempotency_key.header;
    if (!problem.empty()) return judge(400, "idempotency key", problem);
    judge(0, "idempotency key",
          key ? fmt::format("'{}': the same key is the same job", key->text)
              : "none, and none is required in " + header);
  }

  void validate() {
    const routes::RequestCheck& check = match_.rules->validate;
    if (check.is_empty()) return tell("validate", "no rules");
    std::optional<std::string_view> body;
    if (!request_.body.empty()) body = request_.body;
    const routes::RequestVerdict verdict =
        check_request(request_.head, request_.target.query, check, body);
    if (verdict) return judge(0, "validate", "the request is what the route asks for");
    std::string problems;
    for (const routes::RequestProblem& problem : verdict.problems) {
      if (!problems.empty()) problems += "; ";
      problems += where(problem) + problem.message;
    }
    judge(verdict.status, "validate", std::move(problems));
  }

  static std::string where(const routes::RequestProblem& problem) {
    switch (problem.where) {
      case routes::RequestProblem::Where::header:
        return "header " + problem.name + " ";
      case routes::RequestProblem::Where::parameter:
        return "parameter " + problem.name + " ";
      case routes::RequestProblem::Where::body:
        return problem.name.empty() ? "body: " : problem.name + " ";
    }
    return "";
  }

  void authorize() {
    const config::Authorize& settings = match_.route->authorize;
    if (settings.is_empty()) return;
    out_.asks = out_.refused == 0;
    tell("authorize", settings.service + settings.target + " is asked, and decides");
  }

  void rules() {
    switch (request_.made) {
      case routes::RouteRules::Made::done:
        return;
      case routes::RouteRules::Made::bad_request:
        return judge(400, "rules", std::string(request_.why));
      case routes::RouteRules::Made::unreadable:
        return judge(500, "rules", std::string(request_.why));
    }
  }

  void credentials() {
    if (!has_connection_auth(request_.call)) return;
    judge(400, "credentials", "NTLM and Negotiate authenticate a connection, which a job outlives");
  }

  void request_body() {
    if (match_.rules->request_body.is_empty()) return;
    const routes::BodyRewriter::Rewritten& changed = request_.changed;
    if (!changed.body || changed.is_refused) {
      return judge(changed.status, "request_body", changed.why);
    }
    if (!changed.why.empty()) return tell("request_body", "not all rules apply: " + changed.why);
    judge(0, "request_body",
          *changed.body == request_.body ? "the body stays as it is" : "the body is changed");
  }

  void cors() {
    const auto origin = request_.head.fields.find("Origin");
    if (!origin || match_.rules->cors.is_empty()) return;
    std::string lines;
    match_.rules->cors.append_answer(request_.head.fields, lines);
    const bool is_allowed = lines.find("Access-Control-Allow-Origin:") != std::string::npos;
    tell("cors", std::string(*origin) + (is_allowed ? " may read the answer"
                                                    : " is told nothing: it may not read the "
                                                      "answer"));
  }

  std::string outcome() const {
    if (!is_job_) return "a plain call, for whose answer the client waits";
    const jobs::milliseconds window = window_of(async_, prefer_);
    std::string out = "202, a job";
    if (window.count() != 0) {
      out = fmt::format("the answer, if there is one within {}; else 202, a job",
                        config::format_duration(window));
    }
    if (async_.follow.enabled) out += "; if the backend answers 202, it is asked for the result";
    return out;
  }

  const Checked& request_;
  const config::Config& config_;
  const routes::RouteMatch& match_;
  const config::Async& async_;
  const jobs::Prefer prefer_;
  const bool is_job_;
  Checks out_;
};

const char* word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "ok";
    case Verdict::refused:
      return "no";
    case Verdict::told:
      break;
  }
  return "--";
}

}  // namespace

Checks check_all(const Checked& request,
                 const config::Config& config,
                 const routes::RouteMatch& match) {
  return Checker(request, config, match).all();
}

std::string show(const Checks& checks) {
  std::string out = "\nChecks:\n";
  for (const Check& check : checks.checks) {
    out += fmt::format("{} {}: {}\n", word_of(check.verdict), check.name, check.text);
  }
  return out + "\nWhat follows: " + checks.follows + "\n";
}

}  // namespace raincheck::proxy
