// raincheck cancel, purge and redrive: what is done to jobs, one by one.
#include <fmt/format.h>

#include "proxy/cli_selection.hpp"

namespace raincheck::proxy {
namespace {

// A large body is copied.
constexpr std::chrono::seconds redrive_patience{600};

Command add_change(CLI::App& app,
                   const char* name,
                   const char* description,
                   std::vector<std::string> states,
                   ChosenJobs::Change change) {
  CLI::App* const command = app.add_subcommand(name, description);
  const AdminSocket admin(*command);
  const ChosenJobs chosen(*command, std::move(states));
  return {command, [admin, chosen, change = std::move(change)] {
            return tell_failure([&] { return chosen.change(admin, change); });
          }};
}

std::string tell_redriven(const std::string& id, const AdminAnswer& answer, bool is_json) {
  const routes::ParsedJson made = routes::parse_json(answer.body);
  if (is_json && made) return routes::to_text(*made.value);
  const std::string as = made ? text_of(*made.value, "id") : "";
  return fmt::format("{}: {} as {}", id, answer.status == 201 ? "redriven" : "redriven before", as);
}

}  // namespace

Command add_cancel(CLI::App& app) {
  ChosenJobs::Change change;
  change.method = "POST";
  change.target_suffix = "/cancel";
  change.done = "canceled";
  return add_change(app, "cancel", "Cancel jobs that have not ended", {"queued", "running"},
                    std::move(change));
}

Command add_purge(CLI::App& app) {
  ChosenJobs::Change change;
  change.method = "DELETE";
  change.done = "purged";
  return add_change(app, "purge", "Erase jobs that have ended, with their results",
                    {"succeeded", "failed", "canceled"}, std::move(change));
}

Command add_redrive(CLI::App& app) {
  ChosenJobs::Change change;
  change.method = "POST";
  change.target_suffix = "/redrive";
  change.done = "redriven";
  change.patience = redrive_patience;
  const auto is_json = std::make_shared<bool>(false);
  change.tell = [is_json](const std::string& id, const AdminAnswer& answer) {
    return tell_redriven(id, answer, *is_json);
  };
  Command redrive = add_change(app, "redrive", "Make new jobs from the requests of failed ones",
                               {"failed"}, std::move(change));
  redrive.app->add_flag("--json", *is_json, "One JSON object a line for each new job");
  return redrive;
}

}  // namespace raincheck::proxy
