// raincheck job: all that is known of one job.
#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <iostream>

#include "proxy/cli_selection.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {
namespace {

using routes::Json;

constexpr char history_row[] = "{:>7}  {:24}  {:24}  {:>6}  {:24}  {}\n";

struct JobOptions {
  std::string id;
  bool is_json = false;
};

void print_line(std::string_view name, std::string_view value) {
  if (!value.empty()) std::cout << fmt::format("{:16}{}\n", name, value);
}

void print_request(const Json& request) {
  std::cout << "\n" << text_of(request, "line") << "\n";
  if (const Json* const fields = request.find("fields")) {
    for (const Json& field : fields->items) std::cout << field.text << "\n";
  }
  std::cout << fmt::format("({} bytes of body)\n", text_of(request, "bytes"));
}

void print_history(const Json& history) {
  if (history.items.empty()) return;
  std::cout << "\n"
            << fmt::format(history_row, "ATTEMPT", "STARTED", "ENDED", "STATUS", "REASON",
                           "SERVER");
  for (const Json& attempt : history.items) {
    std::cout << fmt::format(history_row, text_of(attempt, "attempt"),
                             text_of(attempt, "startedAt"), text_of(attempt, "endedAt"),
                             text_of(attempt, "responseStatus"), text_of(attempt, "reason"),
                             text_of(attempt, "server"));
  }
}

void print_labels(const Json& labels) {
  std::string text;
  for (const Json& label : labels.items) {
    text.append(text.empty() ? "" : ", ").append(label.name).append("=").append(label.text);
  }
  print_line("labels", text);
}

void print(const Json& job) {
  for (const Json& member : job.items) {
    const bool is_value = member.kind == Json::Kind::string || member.kind == Json::Kind::number;
    if (is_value && member.name != "age") print_line(member.name, member.text);
  }
  if (const Json* const labels = job.find("labels")) print_labels(*labels);
  if (const Json* const error = job.find("error")) {
    print_line("error", text_of(*error, "type") + ": " + text_of(*error, "detail"));
  }
  const Json* const request = job.find("request");
  if (request) print_request(*request);
  if (!request) std::cout << "\nIts request is erased.\n";
  if (const Json* const history = job.find("history")) print_history(*history);
}

int show(const AdminSocket& admin, const JobOptions& options) {
  AdminQuestion question;
  question.target = "/jobs/";
  routes::append_encoded(question.target, options.id);
  const AdminAnswer answer = admin.ask(question);
  if (!answer.is_success()) return tell_refused(answer, options.id);
  const routes::ParsedJson job = routes::parse_json(answer.body);
  if (options.is_json || ::isatty(STDOUT_FILENO) != 1 || !job) {
    std::cout << answer.body << "\n";
  } else {
    print(*job.value);
  }
  return EX_OK;
}

}  // namespace

Command add_job(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("job", "Show all that is known of one job");
  const auto options = std::make_shared<JobOptions>();
  const AdminSocket admin(*command);
  command->add_option("id", options->id, "Its id")->required()->transform(unmarked_id);
  command->add_flag("--json", options->is_json, "As a JSON object, on a terminal too");
  return {command,
          [admin, options] { return tell_failure([&] { return show(admin, *options); }); }};
}

}  // namespace raincheck::proxy
