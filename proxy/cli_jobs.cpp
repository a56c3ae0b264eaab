// raincheck jobs: a table of jobs on a terminal, JSON lines elsewhere.
#include <sysexits.h>
#include <unistd.h>

#include <charconv>
#include <iostream>

#include "config/text.hpp"
#include "proxy/cli_selection.hpp"
#include "proxy/cli_table.hpp"

namespace raincheck::proxy {
namespace {

using routes::Json;

struct JobsOptions {
  std::uint64_t limit = 100;
  bool is_json = false;
};

std::string age_of(const Json& job) {
  const std::string text = text_of(job, "age");
  std::int64_t seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds == 0 ? "0s" : config::format_duration(std::chrono::seconds(seconds));
}

void add_row(Table& table, const Json& job) {
  const Json* const error = job.find("error");
  table.add({text_of(job, "id"), text_of(job, "status"), text_of(job, "route"), age_of(job),
             text_of(job, "attempts"), error ? text_of(*error, "type") : ""});
}

int list(const AdminSocket& admin, const JobSelection& selection, const JobsOptions& options) {
  const bool is_table = !options.is_json && ::isatty(STDOUT_FILENO) == 1;
  Table table({{"ID"}, {"STATE"}, {"ROUTE"}, {"AGE", true}, {"ATTEMPTS", true}, {"ERROR"}});
  const int status = selection.for_each(admin, options.limit, [&](const Json& job) {
    if (is_table) {
      add_row(table, job);
    } else {
      std::cout << routes::to_text(job) << "\n";
    }
  });
  if (is_table && status == EX_OK) std::cout << table.text();
  return status;
}

}  // namespace

Command add_jobs(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("jobs", "List jobs, the newest first");
  const auto options = std::make_shared<JobsOptions>();
  const AdminSocket admin(*command);
  const JobSelection selection(*command);
  command->add_option("--limit", options->limit, "How many at most")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  command->add_flag("--json", options->is_json, "One JSON object a line, on a terminal too");
  return {command, [admin, selection, options] {
            return tell_failure([&] { return list(admin, selection, *options); });
          }};
}

}  // namespace raincheck::proxy
