// raincheck stats: what waits and runs, in numbers.
#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <iostream>

#include "proxy/cli_selection.hpp"
#include "proxy/cli_table.hpp"

namespace raincheck::proxy {
namespace {

using routes::Json;

bool is_true(const Json& object, std::string_view member) {
  const Json* const found = object.find(member);
  return found && found->is_true;
}

std::string oldest_of(const Json& queue) {
  const std::string age = text_of(queue, "oldestAge");
  return age.empty() ? "-" : age + "s";
}

void add_upstream(Table& table, const Json& upstream) {
  const bool paused = is_true(upstream, "paused");
  const char* const state = paused ? "paused" : is_true(upstream, "held") ? "held" : "ok";
  table.add({text_of(upstream, "name"), text_of(upstream, "queued"), oldest_of(upstream),
             text_of(upstream, "calls"), text_of(upstream, "maxConcurrency"), state});
  for (const Json& server : upstream.find("servers")->items) {
    table.add({"  " + text_of(server, "server"), "", "", text_of(server, "calls"), "",
               is_true(server, "healthy") ? "ok" : "down"});
  }
}

void print(const Json& stats) {
  const std::string pending = text_of(stats, "pending");
  const std::string shortage = text_of(stats, "storeShortage");
  std::cout << fmt::format(
      "{} {} pending, {} of them running; store: {} of {} bytes{}\nconfiguration of {}{}{}\n\n",
      pending, pending == "1" ? "job" : "jobs", text_of(stats, "running"),
      text_of(stats, "storeBytes"), text_of(stats, "storeLimitBytes"),
      shortage.empty() ? "" : "; no new jobs: " + shortage, text_of(stats, "configuredAt"),
      is_true(stats, "lastReloadSuccessful") ? "" : "; the last reload was refused",
      is_true(stats, "draining") ? "; draining" : "");
  Table upstreams({{"UPSTREAM"},
                   {"QUEUED", true},
                   {"OLDEST", true},
                   {"CALLS", true},
                   {"MAX", true},
                   {"STATE"}});
  for (const Json& upstream : stats.find("upstreams")->items) add_upstream(upstreams, upstream);
  Table routes({{"ROUTE"}, {"QUEUED", true}, {"OLDEST", true}, {"STATE"}});
  for (const Json& route : stats.find("routes")->items) {
    routes.add({text_of(route, "name"), text_of(route, "queued"), oldest_of(route),
                is_true(route, "paused") ? "paused" : "ok"});
  }
  std::cout << upstreams.text() << "\n" << routes.text();
}

int show(const AdminSocket& admin, bool is_json) {
  AdminQuestion question;
  question.target = "/stats";
  const AdminAnswer answer = admin.ask(question);
  if (!answer.is_success()) return tell_refused(answer);
  const routes::ParsedJson stats = routes::parse_json(answer.body);
  const bool is_known = stats && stats.value->find("upstreams") && stats.value->find("routes");
  if (is_json || ::isatty(STDOUT_FILENO) != 1 || !is_known) {
    std::cout << answer.body << "\n";
  } else {
    print(*stats.value);
  }
  return EX_OK;
}

}  // namespace

Command add_stats(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("stats", "Show what waits and runs, in numbers");
  const auto is_json = std::make_shared<bool>(false);
  const AdminSocket admin(*command);
  command->add_flag("--json", *is_json, "As a JSON object, on a terminal too");
  return {command,
          [admin, is_json] { return tell_failure([&] { return show(admin, *is_json); }); }};
}

}  // namespace raincheck::proxy
