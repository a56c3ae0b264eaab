// raincheck stats: what waits and runs, in numbers.
#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <iostream>

#include "proxy/cli_selection.hpp"

namespace raincheck::proxy {
namespace {

using routes::Json;

constexpr char row[] = "{:24}  {:>10}  {:>10}  {:>6}  {:>6}  {}\n";

bool is_true(const Json& object, std::string_view member) {
  const Json* const found = object.find(member);
  return found && found->is_true;
}

void print_upstream(const Json& upstream) {
  const bool paused = is_true(upstream, "paused");
  const char* const state = paused ? "paused" : is_true(upstream, "held") ? "held" : "ok";
  const std::string oldest = text_of(upstream, "oldestAge");
  std::cout << fmt::format(row, text_of(upstream, "name"), text_of(upstream, "queued"),
                           oldest.empty() ? "-" : oldest + "s", text_of(upstream, "calls"),
                           text_of(upstream, "maxConcurrency"), state);
  for (const Json& server : upstream.find("servers")->items) {
    std::cout << fmt::format(row, "  " + text_of(server, "server"), "", "",
                             text_of(server, "calls"), "",
                             is_true(server, "healthy") ? "ok" : "down");
  }
}

void print_route(const Json& route) {
  const std::string oldest = text_of(route, "oldestAge");
  std::cout << fmt::format(row, text_of(route, "name"), text_of(route, "queued"),
                           oldest.empty() ? "-" : oldest + "s", "", "",
                           is_true(route, "paused") ? "paused" : "ok");
}

void print(const Json& stats) {
  std::cout << fmt::format(
      "{} jobs pending, {} running; store: {} of {} bytes\nconfiguration of {}{}{}\n\n",
      text_of(stats, "pending"), text_of(stats, "running"), text_of(stats, "storeBytes"),
      text_of(stats, "storeLimitBytes"), text_of(stats, "configuredAt"),
      is_true(stats, "lastReloadSuccessful") ? "" : "; the last reload was refused",
      is_true(stats, "draining") ? "; draining" : "");
  std::cout << fmt::format(row, "UPSTREAM", "QUEUED", "OLDEST", "CALLS", "MAX", "STATE");
  for (const Json& upstream : stats.find("upstreams")->items) print_upstream(upstream);
  std::cout << "\n" << fmt::format(row, "ROUTE", "QUEUED", "OLDEST", "", "", "STATE");
  for (const Json& route : stats.find("routes")->items) print_route(route);
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
