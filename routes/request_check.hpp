// What a route asks of requests before they become jobs: `validate` of the configuration, compiled.
// All problems are found, not the first. Immutable; any thread.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "routes/json_schema.hpp"
#include "routes/route_problem.hpp"

namespace raincheck::routes {

// What is wrong with a request. `where` is what `name` names.
struct RequestProblem {
  enum class Where : unsigned char { header, parameter, body };

  Where where = Where::body;
  std::string name;  // of the header or query parameter; the JSON Pointer of a value in the body
  std::string message;
};

struct RequestVerdict {
  int status = 0;  // 0: nothing is wrong; else 400, 413, 415 or 422
  std::vector<RequestProblem> problems;

  explicit operator bool() const { return status == 0; }
};

// A request as it is checked. Views; they must live until the verdict is there.
struct CheckedRequest {
  std::string_view query;  // as it was sent, without '?'
  std::span<const std::pair<std::string_view, std::string_view>> headers;
  std::string_view content_type;
  std::optional<std::string_view> body;  // decoded; nothing: the request has none
};

class RequestCheck {
 public:
  static constexpr std::size_t problems_max = 100;
  static constexpr std::size_t json_body_max = std::size_t{8} << 20;  // beyond it 413

  RequestCheck() = default;  // everything is fine
  // `setting` is the name of the rules within their route: "validate". With problems of the schema,
  // not to be used.
  RequestCheck(const config::Validate& rules,
               const std::string& setting,
               const JsonSchema::ReadFile& read,
               std::vector<RuleProblem>& problems);

  bool is_empty() const {
    return content_types_.empty() && headers_.empty() && parameters_.empty() && !schema_;
  }

  // Whether the body must be there, whole, to be checked.
  bool needs_body() const { return schema_.has_value(); }

  // The status is the one of the first kind of problem that there is, in this order: 415 for the
  // media type, 413, 400 for headers, parameters and what is not JSON, 422 for the schema. A body
  // of the wrong type is not looked into.
  RequestVerdict check(const CheckedRequest& request) const;
  // The same of all but what is in the body: of that only whether there is one counts.
  RequestVerdict check_head(const CheckedRequest& request) const;

 private:
  struct Rule {
    std::string name;
    bool is_required = false;
    std::shared_ptr<const RE2> pattern;  // of the whole value; null: any
    std::string text;                    // of the pattern
  };
  static std::vector<Rule> compile(const std::vector<config::ValueRule>& rules);

  class Findings;
  void check_type(const CheckedRequest& request, Findings& out) const;
  void check_headers(const CheckedRequest& request, Findings& out) const;
  void check_query(const CheckedRequest& request, Findings& out) const;
  void check_body(const CheckedRequest& request, Findings& out) const;

  std::vector<std::string> content_types_;
  std::vector<Rule> headers_;
  std::vector<Rule> parameters_;
  std::optional<JsonSchema> schema_;
};

// The problems as the "errors" of a problem document (RFC 9457 section 3): a JSON array of objects
// with "detail" and "pointer", "header" or "parameter".
void append_errors(std::string& out, const std::vector<RequestProblem>& problems);

}  // namespace raincheck::routes
