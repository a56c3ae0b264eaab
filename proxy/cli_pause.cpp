// raincheck pause and resume: whether jobs of an upstream, or of a route, begin.
#include <sysexits.h>

#include "proxy/cli.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {
namespace {

// Of one of them.
struct Whose {
  std::string upstream;
  std::string route;
};

int change(const AdminSocket& admin, const Whose& whose, const std::string& verb) {
  AdminQuestion question;
  question.method = "POST";
  question.target = whose.route.empty() ? "/upstreams/" : "/routes/";
  routes::append_encoded(question.target, whose.route.empty() ? whose.upstream : whose.route);
  question.target += "/" + verb;
  const AdminAnswer answer = admin.ask(question);
  return answer.is_success() ? EX_OK : tell_refused(answer);
}

Command add(CLI::App& app, const std::string& verb, const char* description) {
  CLI::App* const command = app.add_subcommand(verb, description);
  const auto whose = std::make_shared<Whose>();
  const AdminSocket admin(*command);
  auto* const upstream = command->add_option("upstream", whose->upstream, "The upstream's name");
  command->add_option("--route", whose->route, "Of a route, by its name, instead")
      ->excludes(upstream);
  command->parse_complete_callback([whose] {
    if (whose->upstream.empty() && whose->route.empty()) {
      throw CLI::RequiredError("the name of an upstream, or --route,");
    }
  });
  return {command, [admin, whose, verb] {
            return tell_failure([&] { return change(admin, *whose, verb); });
          }};
}

}  // namespace

Command add_pause(CLI::App& app) {
  return add(app, "pause",
             "Let no job of an upstream, or of a route, begin; new ones are accepted and wait");
}

Command add_resume(CLI::App& app) {
  return add(app, "resume", "Let jobs of an upstream, or of a route, that was paused begin again");
}

}  // namespace raincheck::proxy
