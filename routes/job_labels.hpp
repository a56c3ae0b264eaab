// Labels of a route's jobs: names, and values from the request, by which operators find a job.
// Compiled when the configuration is loaded and immutable then. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

class JobLabels {
 public:
  static constexpr std::size_t count_max = 8;

  static JobLabels compile(const std::vector<config::Named<config::TemplateText>>& labels,
                           const PathPattern& pattern,
                           std::vector<RuleProblem>& problems);

  bool is_empty() const { return labels_.empty(); }
  // As jobs::NewJob has them. Left out are values that the request lacks, and those that no label
  // has (jobs::is_label_value): whatever a client sends, a label stays in its line.
  std::string render(const Values& values) const;

 private:
  struct Label {
    std::string name;
    Template value;
  };
  std::vector<Label> labels_;
};

}  // namespace raincheck::routes
