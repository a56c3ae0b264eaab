#include "proxy/cli_selection.hpp"

#include <sysexits.h>

#include <algorithm>
#include <iostream>
#include <limits>

#include "proxy/cli_table.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {

using routes::Json;

namespace {

constexpr std::uint64_t page_max = 500;

void append_parameter(std::string& query, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  query.append("&").append(name).append("=");
  routes::append_encoded(query, value);
}

// "older_than: why", of a parameter, as the option is called: "--older-than: why".
std::string of_option(std::string why) {
  const std::size_t end = why.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
  if (end == why.npos || why[end] != ':') return why;
  std::replace(why.begin(), why.begin() + static_cast<std::ptrdiff_t>(end), '_', '-');
  return "--" + why;
}

int tell_no_list(const AdminAnswer& answer) {
  std::cerr << "raincheck: " << of_option(refusal_text(answer)) << "\n";
  return answer.status == 400 ? EX_USAGE : EX_UNAVAILABLE;
}

// That no job was found may be because of the name.
void tell_unknown_route(const AdminSocket& admin, const std::string& name) {
  AdminQuestion question;
  question.target = "/stats";
  const AdminAnswer answer = admin.ask(question);
  const routes::ParsedJson stats = routes::parse_json(answer.body);
  const Json* const routes = stats ? stats.value->find("routes") : nullptr;
  if (!answer.is_success() || !routes) return;
  const auto is_it = [&](const Json& route) { return text_of(route, "name") == name; };
  if (std::any_of(routes->items.begin(), routes->items.end(), is_it)) return;
  std::cerr << "raincheck: there is no route '" << name << "' that makes jobs\n";
}

}  // namespace

std::string text_of(const Json& object, std::string_view member) {
  const Json* const found = object.find(member);
  return found ? found->text : "";
}

JobSelection::JobSelection(CLI::App& command) : options_(std::make_shared<Options>()) {
  Options& options = *options_;
  command.add_option("--state", options.state, "queued, running, succeeded, failed or canceled");
  command.add_option("--error", options.error, "Failed with this error.type");
  command.add_option("--route", options.route, "Of the route of this name");
  command.add_option("--request-id", options.request_id, "Submitted with this request id");
  command.add_option("--label", options.label, "With this label, as NAME=VALUE");
  command.add_option("--older-than", options.older_than, "Accepted longer ago than this: 1h30m");
  command.add_option("--newer-than", options.newer_than, "Accepted within this time");
}

std::string JobSelection::query() const {
  std::string query;
  append_parameter(query, "state", options_->state);
  append_parameter(query, "error", options_->error);
  append_parameter(query, "route", options_->route);
  append_parameter(query, "request_id", options_->request_id);
  append_parameter(query, "label", options_->label);
  append_parameter(query, "older_than", options_->older_than);
  append_parameter(query, "newer_than", options_->newer_than);
  return query;
}

bool JobSelection::is_empty() const {
  return query().empty();
}

int JobSelection::for_each(const AdminSocket& admin,
                           std::uint64_t count_max,
                           const std::function<void(const Json& job)>& take) const {
  std::string cursor;
  bool is_none = true;
  while (count_max > 0) {
    AdminQuestion question;
    question.target = "/jobs?limit=" + std::to_string(std::min(count_max, page_max)) + query();
    append_parameter(question.target, "cursor", cursor);
    const AdminAnswer answer = admin.ask(question);
    if (!answer.is_success()) return tell_no_list(answer);
    const routes::ParsedJson page = routes::parse_json(answer.body);
    const Json* const jobs = page ? page.value->find("jobs") : nullptr;
    if (!jobs) throw AdminUnreachable("the answer is not of this version");
    for (const Json& job : jobs->items) take(job);
    is_none = is_none && jobs->items.empty();
    count_max -= std::min<std::uint64_t>(count_max, jobs->items.size());
    cursor = text_of(*page.value, "cursor");
    if (cursor.empty()) break;
  }
  if (is_none && !options_->route.empty()) tell_unknown_route(admin, options_->route);
  return EX_OK;
}

ChosenJobs::ChosenJobs(CLI::App& command, std::vector<std::string> states)
    : selection_(command), states_(std::move(states)), options_(std::make_shared<Options>()) {
  command.add_option("ids", options_->ids, "Ids of jobs")->transform(unmarked_id);
  command.add_flag("--all", options_->is_all, "Choose from all jobs");
  command.add_flag("--dry-run", options_->is_dry_run, "Only say how many jobs are chosen");
}

int ChosenJobs::choose(const AdminSocket& admin, std::vector<std::string>& ids) const {
  ids = options_->ids;
  const bool is_selected = !selection_.is_empty() || options_->is_all;
  if (ids.empty() == !is_selected) {
    std::cerr << "raincheck: give either ids of jobs or options that choose jobs, such as --route; "
                 "--all chooses from all\n";
    return EX_USAGE;
  }
  if (!is_selected) return EX_OK;
  return selection_.for_each(admin, std::numeric_limits<std::uint64_t>::max(),
                             [this, &ids](const Json& job) {
                               const std::string state = text_of(job, "status");
                               if (std::count(states_.begin(), states_.end(), state) != 0) {
                                 ids.push_back(text_of(job, "id"));
                               }
                             });
}

int ChosenJobs::change(const AdminSocket& admin, const Change& change) const {
  std::vector<std::string> ids;
  if (const int status = choose(admin, ids); status != EX_OK) return status;
  if (options_->is_dry_run) {
    std::cout << counted(ids.size(), "job") << " would be " << change.done << "\n";
    return EX_OK;
  }
  if (ids.empty()) std::cerr << "raincheck: no such job can be " << change.done << "\n";
  int status = EX_OK;
  for (const std::string& id : ids) {
    AdminQuestion question;
    question.method = change.method;
    question.target = "/jobs/";
    routes::append_encoded(question.target, id);
    question.target += change.target_suffix;
    question.timeout = change.patience;
    const AdminAnswer answer = admin.ask(question);
    if (answer.is_success()) {
      std::cout << (change.tell ? change.tell(id, answer) : id + ": " + change.done) << "\n";
    } else {
      status = tell_refused(answer, id);
    }
  }
  return status;
}

}  // namespace raincheck::proxy
