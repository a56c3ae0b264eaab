// A JSON value of the configuration whose strings may hold ${...} of a request. What is put in
// always stays inside of its string, so that no request can change the structure. Immutable; any
// thread.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "routes/json.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

class JsonTemplate {
 public:
  JsonTemplate() = default;  // null

  // `setting` is the name of the value within its route. What is no JSON is null: the reader of the
  // configuration wrote it.
  static JsonTemplate compile(const config::TemplateJson& from,
                              const std::string& setting,
                              const Scope& scope,
                              std::vector<RuleProblem>& problems);

  // The value for one request; on failure `out` must not be used.
  [[nodiscard]] Rendering render(const Values& values, Json& out) const;

 private:
  Json json_;
  std::vector<Template> strings_;  // in the order of the strings in it
};

}  // namespace raincheck::routes
