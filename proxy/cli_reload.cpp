// raincheck reload: has the running process read its configuration again, and says what came of it.
#include <sysexits.h>

#include <iostream>

#include "proxy/cli.hpp"

namespace raincheck::proxy {
namespace {

// As long as systemd waits for a reload (DefaultTimeoutStartSec); ten thousand routes take a
// second.
constexpr std::chrono::seconds patience{90};

int reload(const AdminSocket& admin, bool is_rehearsal) {
  AdminQuestion question;
  question.method = "POST";
  question.target = is_rehearsal ? "/reload?dry_run" : "/reload";
  question.timeout = patience;
  const AdminAnswer answer = admin.ask(question);
  const bool is_refused = answer.status == 422;
  std::cerr << (answer.is_success() || is_refused ? answer.body : refusal_text(answer) + "\n");
  if (answer.is_success()) {
    std::cout << (is_rehearsal ? "the configuration could come into force\n"
                               : "the configuration is in force\n");
    return EX_OK;
  }
  std::cerr << "raincheck: the configuration is refused; the one before it goes on serving\n";
  return is_refused ? EX_CONFIG : EX_UNAVAILABLE;
}

}  // namespace

Command add_reload(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "reload",
      "Have the running raincheck read its configuration again; exit with 78 if it is wrong");
  const AdminSocket admin(*command);
  const auto is_rehearsal = std::make_shared<bool>(false);
  command->add_flag("--dry-run", *is_rehearsal, "Only say what would come of it");
  return {command, [admin, is_rehearsal] {
            return tell_failure([&] { return reload(admin, *is_rehearsal); });
          }};
}

}  // namespace raincheck::proxy
