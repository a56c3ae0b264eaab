// The load generator's command line. What it does is in generator.hpp.
#include <sysexits.h>

#include <exception>
#include <iostream>

#include "bench/arguments.hpp"
#include "bench/report.hpp"

namespace raincheck::bench {
namespace {

constexpr std::string_view usage =
    R"(usage: raincheck-bench-load accept|plain|jobs URL [options]
  accept   sends requests and takes any expected status for done
  plain    the same, and every byte of the response must be the synthetic backend's answer
  jobs     submits, polls the Location until it redirects, collects the result, compares every byte

  --connections N         keep-alive connections; default 64
  --per-connection N      requests on one connection, then another one; default: any number
  --in-flight N           requests or jobs under way at once; default: one for each connection
  --rate N                open loop: so many a second, latency from the intended time;
                          default: closed loop
  --duration DURATION     of the measurement; default 5s
  --warmup DURATION       before it, not measured; default 1s
  --requests N            measure exactly so many instead, without warm-up
  --method METHOD         default POST, or GET if --body-size is 0
  --body-size BYTES       of every request; default 1KiB; 32 or more carry a token
  --response-size BYTES   of the backend's answers; default 1KiB
  --expect LIST           statuses that are right, 200,202; default 202, plain 200
  --timeout DURATION      of one exchange; default 30s
  --drain DURATION        how long jobs that have not ended are followed at the end; default 30s
  --poll-after DURATION   from the 202 to the first poll; default 60ms
  --poll-max DURATION     longest wait between two polls, whatever Retry-After says; default 20ms
  --cpu-of PIDS           processes, with commas between them, whose CPU time to measure
  --backend ADDRESS       synthetic backend to ask how often every job was carried out
  --json                  one JSON object instead of text

Exits with 1 if anything was lost, wrong, failed, duplicated or unexpected.
)";

Plan read_plan(const Arguments& arguments) {
  Plan plan;
  if (arguments.positional().size() != 2) arguments.refuse("a mode and a URL are needed");
  const std::string& mode = arguments.positional()[0];
  std::string_view url = arguments.positional()[1];
  if (mode != "accept" && mode != "plain" && mode != "jobs") arguments.refuse("no mode " + mode);
  plan.mode = mode == "accept" ? Mode::accept : mode == "plain" ? Mode::plain : Mode::jobs;
  constexpr std::string_view scheme = "http://";
  constexpr std::string_view tls_scheme = "https://";
  plan.is_tls = url.starts_with(tls_scheme);
  if (plan.is_tls) url.remove_prefix(tls_scheme.size());
  if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  const std::size_t path = std::min(url.find('/'), url.size());
  const auto server = read_address(url.substr(0, path));
  if (!server) arguments.refuse("the URL should look like http://127.0.0.1:8080/path");
  plan.server = *server;
  plan.target = path < url.size() ? url.substr(path) : "/";

  using namespace std::chrono_literals;
  plan.body_bytes = arguments.bytes("--body-size", 1024);
  plan.response_bytes = arguments.bytes("--response-size", 1024);
  plan.method = arguments.text("--method", plan.body_bytes > 0 ? "POST" : "GET");
  plan.connections = arguments.number("--connections", 64);
  plan.per_connection = arguments.number("--per-connection", 0);
  plan.in_flight = arguments.number("--in-flight", plan.connections);
  plan.rate = static_cast<double>(arguments.number("--rate", 0));
  plan.requests = arguments.number("--requests", 0);
  plan.expected = arguments.list("--expect");
  if (plan.expected.empty()) plan.expected = {plan.mode == Mode::plain ? 200u : 202u};
  plan.warmup = plan.requests > 0 ? 0s : arguments.duration("--warmup", 1s);
  plan.duration = arguments.duration("--duration", 5s);
  plan.drain = arguments.duration("--drain", 30s);
  plan.timeout = arguments.duration("--timeout", 30s);
  plan.poll_after = arguments.duration("--poll-after", 60ms);
  plan.poll_max = arguments.duration("--poll-max", 20ms);
  plan.cpu_of = arguments.list("--cpu-of");
  if (plan.connections == 0 || plan.in_flight == 0) arguments.refuse("nothing to do with 0");
  if (plan.mode == Mode::jobs && plan.body_bytes < token_bytes) {
    arguments.refuse("a job needs a body of 32 bytes or more");
  }
  return plan;
}

bool is_good(const Results& results, const std::optional<Executions>& executions) {
  const std::uint64_t bad = results.unexpected + results.wrong + results.failed + results.lost +
                            results.unanswered + results.malformed +
                            (executions ? executions->duplicates : 0);
  return results.completed > 0 && bad == 0;
}

}  // namespace
}  // namespace raincheck::bench

int main(int argc, char** argv) {
  using namespace raincheck::bench;
  const Arguments arguments(argc, argv, usage);
  const Plan plan = read_plan(arguments);
  const auto backend = read_address(arguments.text("--backend", ""));
  if (arguments.has("--backend") && !backend) arguments.refuse("--backend wants an address");
  try {
    allow_many_descriptors();
    const Results results = Generator(plan).run();
    std::optional<Executions> executions;
    if (backend) executions = ask_backend(*backend, results.run);
    if (arguments.has("--json")) {
      write_json(std::cout, results, executions);
    } else {
      write_text(std::cout, results, executions);
    }
    return is_good(results, executions) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "raincheck-bench-load: " << error.what() << "\n";
    return EX_UNAVAILABLE;
  }
}
