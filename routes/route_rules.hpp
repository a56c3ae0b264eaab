// Everything that one route asks of messages and changes in them on their way, compiled when the
// configuration is loaded and immutable then: what is asked of a request, the path and host of its
// call, its fields and its body; what is a success, and of the answer first what the backend says
// of itself (UrlMap), then fields and body. Owned by the RouteTable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/body_rules.hpp"
#include "routes/cors.hpp"
#include "routes/documents.hpp"
#include "routes/follow.hpp"
#include "routes/header_rules.hpp"
#include "routes/job_labels.hpp"
#include "routes/json_schema.hpp"
#include "routes/path_pattern.hpp"
#include "routes/request_check.hpp"
#include "routes/rewrite.hpp"
#include "routes/success_check.hpp"
#include "routes/url_map.hpp"

namespace raincheck::routes {

struct RouteRules {
  // `upstream` may be null. `read` gives the content of schemas. Addresses of the rules must not
  // change afterwards.
  void compile(const config::Route& route,
               const config::Upstream* upstream,
               const PathPattern& pattern,
               const JsonSchema::ReadFile& read,
               std::vector<RuleProblem>& problems);

  enum class Made {
    done,
    bad_request,  // the path or host that the request asks for cannot be
    unreadable,   // a secret cannot be read now
  };

  // False: make_call() changes nothing.
  bool changes_calls() const {
    return rewrite.has_path() || rewrite.has_host() || !request_headers.is_empty();
  }

  // The head of a call, from the end-to-end field lines that it would have without rules:
  // "METHOD target\r\n" and field lines in `head`, and what goes into Host in `host`, which is
  // untouched if the rules name none. Not done: `why` says what is missing, and there is no call to
  // make. For a job at each attempt, so that secrets are read then and never stored.
  [[nodiscard]] Made make_call(const Values& values,
                               std::string_view lines,
                               std::string& head,
                               std::string& host,
                               std::string& why) const;

  // The end-to-end field lines of an answer, as the client gets them, appended to `out`. Of a job's
  // answer before it is stored: a request is erased when its job has succeeded.
  void make_answer(const Values& values,
                   Found found,
                   std::string_view lines,
                   std::string& out) const;

  RequestCheck validate;
  Rewrite rewrite;
  HeaderRules request_headers;
  BodyRules request_body;
  SuccessCheck success;
  FollowRules follow;
  UrlMap urls;
  HeaderRules response_headers;
  BodyRules response_body;
  Documents documents;  // in place of our own
  JobLabels labels;
  Cors cors;  // said when an answer is given, not when it is stored
};

}  // namespace raincheck::routes
