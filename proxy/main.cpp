// The command line: raincheck serve | check | routes | explain | store | version. Exit statuses are
// those of sysexits.h.
#include <spdlog/spdlog.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <optional>

#include "config/schema.hpp"
#include "proxy/cli.hpp"
#include "proxy/cli_table.hpp"
#include "proxy/explain.hpp"
#include "proxy/logs.hpp"
#include "proxy/server.hpp"
#include "proxy/settings.hpp"
#include "routes/listing.hpp"
#include "routes/route_table.hpp"

namespace {

using namespace raincheck;

// The configuration, if it may serve; else its mistakes are printed and `status` is set. Throws
// proxy::CommandFailed if it cannot be read.
std::optional<config::Loaded> load_good(const std::string& file, int& status) {
  proxy::require_readable(file);
  config::Loaded loaded = proxy::load_settings(file);
  std::cerr << config::format(loaded);
  if (loaded.ok) return loaded;
  status = EX_CONFIG;
  return std::nullopt;
}

// Those that the file names.
std::size_t count_upstreams(const config::Config& config) {
  return static_cast<std::size_t>(
      std::count_if(config.upstreams.begin(), config.upstreams.end(),
                    [](const config::Upstream& upstream) { return !upstream.is_auth_service; }));
}

int check(const std::string& file, bool quiet) {
  int status = EX_OK;
  const auto loaded = load_good(file, status);
  if (loaded && !quiet) {
    std::cout << file << ": ok, " << proxy::counted(loaded->config.routes.size(), "route") << ", "
              << proxy::counted(count_upstreams(loaded->config), "upstream") << "\n";
  }
  return status;
}

int list(const std::string& file) {
  int status = EX_OK;
  const auto loaded = load_good(file, status);
  if (loaded) std::cout << routes::list_routes(loaded->config);
  return status;
}

int explain(const std::string& file, const proxy::Question& question) {
  int status = EX_OK;
  const auto loaded = load_good(file, status);
  if (!loaded) return status;
  const routes::RouteTable table(loaded->config, config::Environment::process().file);
  const proxy::Explanation out = proxy::explain(loaded->config, table, question);
  if (out.is_asked_well) {
    std::cout << out.text;
    return EX_OK;
  }
  std::cerr << "raincheck: " << out.text << "\n";
  return EX_USAGE;
}

int serve(const std::string& file) {
  proxy::require_readable(file);
  proxy::FileWatch files;
  config::Loaded loaded = proxy::load_settings(file, &files);
  proxy::open_program_log(loaded.config.log);
  proxy::tell_problems(loaded);
  if (!loaded.ok) {
    spdlog::critical("{} is refused: raincheck does not start", file);
    return EX_CONFIG;
  }
  // A client that has gone is told by the write, not by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  // A reload that is asked for while it starts has nothing to do: the file has just been read.
  std::signal(SIGHUP, SIG_IGN);
  int status = EX_SOFTWARE;
  try {
    proxy::Server server(std::move(loaded.config), file, std::move(files));
    status = server.run();
  } catch (const proxy::StoreUnusable& error) {
    spdlog::critical("{}", error.what());
    status = EX_IOERR;
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    status = EX_UNAVAILABLE;
  }
  if (!proxy::close_logs()) std::_Exit(status);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("raincheck puts an asynchronous face on slow HTTP backends.", "raincheck");
  app.require_subcommand(1);
  app.set_version_flag("--version", "raincheck " RAINCHECK_VERSION);
  app.footer(
      "Manuals: raincheck(1), raincheck.yaml(5). Exit status: 0; 1 refused, or not well; others of "
      "sysexits.h:\n64 usage, 65 a damaged store or backup, 66 a file that cannot be read, "
      "69 cannot serve, or nobody\nto ask, 73 no copy can be made, 74 the store failed, "
      "78 wrong configuration.");

  bool quiet = false;
  bool schema = false;
  CLI::App* const serving = app.add_subcommand("serve", "Serve until SIGTERM, in the foreground");
  const proxy::ConfigFile served(*serving, "-c,--config,config");
  CLI::App* const checking =
      app.add_subcommand("check", "Say everything that is wrong with a configuration");
  const proxy::ConfigFile checked(*checking, "-c,--config,config",
                                  "The configuration file; - is standard input");
  checking->add_flag("-q,--quiet", quiet, "Say nothing when it is right");
  checking->add_flag("--schema", schema, "Print the JSON Schema of the file instead, for editors");
  std::string file;
  CLI::App* const listing =
      app.add_subcommand("routes", "Print the routes, the most specific first");
  listing->add_option("config", file, "The configuration file; - is standard input")->required();
  proxy::Question question;
  CLI::App* const explaining = app.add_subcommand(
      "explain", "Say which route takes a request, and what its backend would get");
  explaining->add_option("config", file, "The configuration file; - is standard input")->required();
  explaining->add_option("method", question.method, "The method")->required();
  explaining->add_option("url", question.url, "The URL, or its path")->required();
  explaining->add_option("-H,--header", question.headers, "A header, as 'Name: value'")
      ->allow_extra_args(false);
  explaining->add_option("-d,--data", question.data, "The body");
  const std::vector<proxy::Command> commands = proxy::add_commands(app);
  CLI::App* const version = app.add_subcommand("version", "Print the version");

  try {
    proxy::parse(app, std::vector<std::string>(argv + 1, argv + argc));
  } catch (const CLI::Success& shown) {
    return app.exit(shown);
  } catch (const CLI::ParseError& error) {
    proxy::tell_usage(app, error);
    return EX_USAGE;
  }
  if (*version) {
    std::cout << "raincheck " RAINCHECK_VERSION "\n";
    return EX_OK;
  }
  for (const proxy::Command& command : commands) {
    if (*command.app) return command.run();
  }
  if (*checking && schema) {
    std::cout << config::schema_json();
    return EX_OK;
  }
  return proxy::tell_failure([&] {
    if (*checking) return check(checked.path(), quiet);
    if (*listing) return list(file);
    if (*explaining) return explain(file, question);
    return serve(served.path());
  });
}
