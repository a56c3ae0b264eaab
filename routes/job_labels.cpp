#include "routes/job_labels.hpp"

#include "jobs/labels.hpp"

namespace raincheck::routes {

JobLabels JobLabels::compile(const std::vector<config::Named<config::TemplateText>>& labels,
                             const PathPattern& pattern,
                             std::vector<RuleProblem>& problems) {
  Scope scope{&pattern, false};
  scope.has_job_id = false;
  JobLabels compiled;
  for (const auto& [name, value] : labels) {
    const std::string setting = "async.labels." + name;
    std::string why;
    compiled.labels_.push_back({name, Template::compile(value, scope, why)});
    if (!why.empty()) problems.push_back({value.place, setting, why});
    if (compiled.labels_.size() != count_max + 1) continue;
    why = "a job has " + std::to_string(count_max) + " labels at most";
    problems.push_back({value.place, setting, why});
  }
  return compiled;
}

std::string JobLabels::render(const Values& values) const {
  std::string labels;
  for (const Label& label : labels_) {
    std::string value;
    if (!label.value.render(values, Form::text, value)) continue;
    if (jobs::is_label_value(value)) jobs::append_label(labels, label.name, value);
  }
  return labels;
}

}  // namespace raincheck::routes
