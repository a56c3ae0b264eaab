#include "proxy/cli.hpp"

#include <sysexits.h>

#include <algorithm>
#include <iostream>
#include <string_view>
#include <tuple>

#include "config/suggest.hpp"
#include "jobs/id.hpp"

namespace raincheck::proxy {
namespace {

// Before an id that CLI11 would take for an option.
constexpr std::string_view id_mark = "id:";

bool is_id_like_option(std::string_view argument) {
  constexpr std::string_view base64url =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return argument.size() == std::tuple_size_v<jobs::IdText> && argument.front() == '-' &&
         argument.find_first_not_of(base64url) == argument.npos;
}

// The command that was called last, of those within commands.
const CLI::App& innermost(const CLI::App& app) {
  const auto called = app.get_subcommands();
  return called.empty() ? app : innermost(*called.front());
}

// What stands where a command should; CLI11 says only that there is none.
std::string tell_no_command(const CLI::App& group, const std::string& word) {
  if (word.front() == '-') return "there is no option '" + word + "'";
  std::vector<std::string> names;
  const auto all = [](const CLI::App*) { return true; };
  for (const CLI::App* const command : group.get_subcommands(all)) {
    names.push_back(command->get_name());
  }
  const std::string hint = config::did_you_mean(word, names);
  return "there is no command '" + word + "'" + (hint.empty() ? "" : "; ") + hint;
}

Contact admin_of(const config::Config& config) {
  return {"admin", "--socket", config.admin.is_on, !config.admin.socket.empty()};
}

}  // namespace

void parse(CLI::App& app, std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (is_id_like_option(argument)) argument.insert(0, id_mark);
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  app.parse(std::move(arguments));
}

std::string unmarked_id(std::string id) {
  return id.starts_with(id_mark) ? id.substr(id_mark.size()) : id;
}

void tell_usage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  const std::vector<std::string> words = app.remaining(true);
  const bool is_no_command = command.get_require_subcommand_min() > 0 && !words.empty();
  std::cerr << "raincheck: "
            << (is_no_command ? tell_no_command(command, unmarked_id(words.front())) : error.what())
            << "\nRun with --help for more information.\n";
}

std::vector<Command> add_commands(CLI::App& app) {
  std::vector<Command> commands = {
      add_jobs(app),   add_job(app),   add_cancel(app),      add_redrive(app),
      add_purge(app),  add_stats(app), add_pause(app),       add_resume(app),
      add_reload(app), add_drain(app), add_healthcheck(app),
  };
  for (Command& command : add_store(app)) commands.push_back(std::move(command));
  return commands;
}

int tell_failure(const std::function<int()>& call) {
  try {
    return call();
  } catch (const AdminUnreachable& error) {
    std::cerr << "raincheck: " << error.what() << "\n";
    return EX_UNAVAILABLE;
  } catch (const CommandFailed& error) {
    std::cerr << "raincheck: " << error.what() << "\n";
    return error.status();
  }
}

int tell_refused(const AdminAnswer& answer, const std::string& what) {
  std::cerr << "raincheck: " << what << (what.empty() ? "" : ": ") << refusal_text(answer) << "\n";
  return 1;
}

AdminSocket::AdminSocket(CLI::App& command)
    : config_(command), socket_(std::make_shared<std::string>()) {
  command.add_option("--socket", *socket_,
                     "The admin socket. Default: what the configuration says");
}

AdminAnswer AdminSocket::ask(const AdminQuestion& question) const {
  // Kept, for a command may ask thousands of times.
  std::string& socket = *socket_;
  if (socket.empty()) {
    if (const auto config = config_.read(admin_of)) socket = config->admin.socket;
  }
  if (socket.empty()) socket = "/run/raincheck/admin.sock";
  return ask_admin(socket, question);
}

}  // namespace raincheck::proxy
