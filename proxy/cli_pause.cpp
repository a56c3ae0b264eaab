// raincheck pause and resume: whether jobs of an upstream begin.
#include <sysexits.h>

#include "proxy/cli.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {
namespace {

int change(const AdminSocket& admin, const std::string& upstream, const std::string& verb) {
  AdminQuestion question;
  question.method = "POST";
  question.target = "/upstreams/";
  routes::append_encoded(question.target, upstream);
  question.target += "/" + verb;
  const AdminAnswer answer = admin.ask(question);
  return answer.is_success() ? EX_OK : tell_refused(answer);
}

Command add(CLI::App& app, const std::string& verb, const char* description) {
  CLI::App* const command = app.add_subcommand(verb, description);
  const auto upstream = std::make_shared<std::string>();
  const AdminSocket admin(*command);
  command->add_option("upstream", *upstream, "The name of the upstream")->required();
  return {command, [admin, upstream, verb] {
            return tell_unreachable([&] { return change(admin, *upstream, verb); });
          }};
}

}  // namespace

Command add_pause(CLI::App& app) {
  return add(app, "pause", "Let no job of an upstream begin; new ones are accepted and wait");
}

Command add_resume(CLI::App& app) {
  return add(app, "resume", "Let jobs of an upstream that was paused begin again");
}

}  // namespace raincheck::proxy
