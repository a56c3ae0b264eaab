#include "proxy/settings.hpp"

#include "proxy/tls_contexts.hpp"
#include "routes/route_table.hpp"

namespace raincheck::proxy {
namespace {

bool has_checks(const config::Validate& rules) {
  return !rules.content_types.empty() || !rules.headers.empty() || !rules.query.empty() ||
         !rules.json_schema.empty();
}

// What has no effect where it stands.
void refuse_idle(config::Loaded& loaded) {
  for (std::size_t i = 0; i < loaded.config.routes.size(); ++i) {
    const config::Route& route = loaded.config.routes[i];
    const std::string path = "routes[" + std::to_string(i) + "]";
    if (route.async.mode == config::Mode::never && has_checks(route.validate)) {
      loaded.refuse(route.place, path + ".validate",
                    "checks what becomes a job, and with 'mode: never' nothing does");
    }
  }
}

}  // namespace

config::Loaded load_settings(const std::string& file, FileWatch* files) {
  config::Environment environment = config::Environment::process();
  if (files) environment = files->noting(environment);
  config::Loaded loaded = config::load(file, environment);
  refuse_idle(loaded);
  const routes::RouteTable table(loaded.config, environment.file);
  for (const routes::RouteProblem& problem : table.problems()) {
    loaded.refuse(problem.place, problem.path, problem.message);
  }
  const TlsContexts tls(loaded.config, environment.file, jobs::system_clock().wall_now());
  for (const TlsProblem& problem : tls.problems()) {
    if (problem.is_warning) {
      loaded.warn(problem.place, problem.path, problem.message);
    } else {
      loaded.refuse(problem.place, problem.path, problem.message);
    }
  }
  return loaded;
}

void refuse_unchangeable(config::Loaded& loaded,
                         const std::string& file,
                         const config::Config& running) {
  const auto refuse = [&loaded, &file](bool is_same, const char* path) {
    if (is_same) return;
    loaded.refuse({file, 0, 0}, path, "cannot be changed while serving: restart raincheck for it");
  };
  // Of a file that could not be read to its end nothing is known.
  if (!loaded.ok) return;
  const config::Config& wanted = loaded.config;
  refuse(wanted.store.directory == running.store.directory, "store.directory");
  refuse(wanted.store.max_bytes == running.store.max_bytes, "store.max_bytes");
  refuse(wanted.store.min_free == running.store.min_free, "store.min_free");
  refuse(wanted.store.reserve == running.store.reserve, "store.reserve");
  refuse(wanted.monitoring.is_on == running.monitoring.is_on, "monitoring");
  refuse(wanted.monitoring.address == running.monitoring.address, "monitoring.address");
  refuse(wanted.admin.is_on == running.admin.is_on, "admin");
  refuse(wanted.admin.socket == running.admin.socket, "admin.socket");
  refuse(wanted.log.format == running.log.format, "log.format");
  refuse(wanted.access_log.output == running.access_log.output, "access_log.output");
}

}  // namespace raincheck::proxy
