// What clients of a route are shown in place of our own documents: `documents` of the
// configuration, compiled. What is put in is escaped as its form needs, so that no value can change
// the structure. Immutable; any thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "jobs/job.hpp"
#include "routes/json_template.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

class Document {
 public:
  Document() = default;  // ours is shown

  // `setting` is its name within the route: "documents.status".
  static Document compile(const config::Document& document,
                          const std::string& setting,
                          const Scope& scope,
                          std::vector<RuleProblem>& problems);

  bool is_empty() const { return !json_ && !text_; }
  const std::string& content_type() const { return content_type_; }
  // `values` with those of a document. False: it would be longer than templates may be.
  [[nodiscard]] bool render(const Values& values, std::string& out) const;

 private:
  std::string content_type_;
  Form form_ = Form::text;
  std::optional<JsonTemplate> json_;
  std::optional<Template> text_;
};

class Documents {
 public:
  static Documents compile(const config::Documents& documents,
                           const PathPattern& pattern,
                           std::vector<RuleProblem>& problems);

  Document accepted;
  Document status;
  Document error;
  // What ${job.status} says.
  const std::string& word(jobs::State state) const {
    return words_[static_cast<std::size_t>(state)];
  }
  // Of the template of `status`, as a part of an entity tag: another template is another
  // representation. Empty without one.
  const std::string& status_tag() const { return status_tag_; }

 private:
  std::array<std::string, 5> words_;
  std::string status_tag_;
};

}  // namespace raincheck::routes
