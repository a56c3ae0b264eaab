// Subcommands that talk to a running raincheck or look after a store: in files of their own,
// cli_*.cpp, listed in cli.cpp. main() adds them to the command line and runs the one that was
// given.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin_client.hpp"
#include "proxy/cli_config.hpp"

namespace raincheck::proxy {

// `run` is called once the command line was read, if this was the command, and gives the exit
// status (sysexits.h).
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

std::vector<Command> add_commands(CLI::App& app);

// Reads the command line. An argument that can be a job's id is none of the options, even if it
// begins with "-", as one in 64 does: it is marked, and unmarked_id() is the transform() of the
// options that take ids.
void parse(CLI::App& app, std::vector<std::string> arguments);
std::string unmarked_id(std::string id);
// Says what is wrong with the command line.
void tell_usage(const CLI::App& app, const CLI::ParseError& error);

Command add_cancel(CLI::App& app);
Command add_drain(CLI::App& app);
Command add_healthcheck(CLI::App& app);
Command add_job(CLI::App& app);
Command add_jobs(CLI::App& app);
Command add_pause(CLI::App& app);
Command add_purge(CLI::App& app);
Command add_redrive(CLI::App& app);
Command add_reload(CLI::App& app);
Command add_resume(CLI::App& app);
Command add_stats(CLI::App& app);
// backup, verify and restore. They work on a store's files and ask no process that serves it.
std::vector<Command> add_store(CLI::App& app);

// Calls it, and gives the exit status. Why it failed is said in words: CommandFailed, and
// AdminUnreachable, which is 69.
int tell_failure(const std::function<int()>& call);
// Says why it was refused, and gives the exit status: 1. `what`: which of several; empty: the one.
int tell_refused(const AdminAnswer& answer, const std::string& what = "");

// Where the admin socket is: --socket, else what the configuration says, for which a file with
// mistakes elsewhere is good enough, else, if it says nothing or there is none, where the service
// has it. ask() throws CommandFailed and AdminUnreachable.
class AdminSocket {
 public:
  explicit AdminSocket(CLI::App& command);
  AdminAnswer ask(const AdminQuestion& question) const;

 private:
  ConfigFile config_;
  std::shared_ptr<std::string> socket_;
};

}  // namespace raincheck::proxy
