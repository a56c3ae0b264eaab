// raincheck drain: has the running process end in order, as SIGTERM does, and waits for that.
#include <poll.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include <charconv>
#include <iostream>

#include "proxy/cli_selection.hpp"
#include "proxy/descriptor.hpp"

namespace raincheck::proxy {
namespace {

// Until the process has ended. False: it cannot be watched from here.
bool wait_for_end(pid_t process) {
  const Descriptor watched(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!watched) return errno == ESRCH;
  pollfd ended{watched.get(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  return true;
}

int drain(const AdminSocket& admin, bool waits) {
  AdminQuestion question;
  question.method = "POST";
  question.target = "/drain";
  const AdminAnswer answer = admin.ask(question);
  if (!answer.is_success()) return tell_refused(answer);
  if (!waits) return EX_OK;
  const routes::ParsedJson told = routes::parse_json(answer.body);
  const std::string number = told ? text_of(*told.value, "pid") : "";
  pid_t process = 0;
  std::from_chars(number.data(), number.data() + number.size(), process);
  if (process > 0 && wait_for_end(process)) return EX_OK;
  std::cerr << "raincheck: it drains, but its process cannot be watched from here\n";
  return EX_UNAVAILABLE;
}

}  // namespace

Command add_drain(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "drain", "Have the running raincheck end in order, and wait until it has ended");
  const auto no_wait = std::make_shared<bool>(false);
  const AdminSocket admin(*command);
  command->add_flag("--no-wait", *no_wait, "Do not wait");
  return {command,
          [admin, no_wait] { return tell_failure([&] { return drain(admin, !*no_wait); }); }};
}

}  // namespace raincheck::proxy
