// How long RouteTable::match() takes among many routes, and whether it allocates. Prints one line;
// ends with status 1 if a request took another route than its own, or memory was allocated.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "routes/route_table.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);  // NOLINT(cppcoreguidelines-no-malloc)
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc)
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc)
}

namespace raincheck::bench {
namespace {

constexpr std::size_t routes_count = 10'000;
constexpr std::size_t rounds = 20;

struct Request {
  std::string host;
  std::string path;
  std::size_t route = 0;  // that must be found
};

// Every second route has a host of a hundred; they are exact, with parameters, and prefixes in
// turn, some with a method or a header.
config::Config make_config(std::vector<Request>& requests) {
  config::Config config;
  config.routes.reserve(routes_count);
  for (std::size_t i = 0; i < routes_count; ++i) {
    const std::string number = std::to_string(i);
    const std::string base = "/api/v" + std::to_string(i % 7) + "/service-" + number;
    config::Match& match = config.routes.emplace_back().match;
    Request& request = requests.emplace_back();
    request.route = i;
    request.host = "tenant-" + std::to_string(i % 100) + ".example.com:8443";
    if (i % 2 == 0) match.hosts = {"tenant-" + std::to_string(i % 100) + ".example.com"};
    if (i % 5 == 0) match.methods = {"GET"};
    if (i % 11 == 0) match.headers.push_back({"X-Api-Version", "2"});
    const std::string forms[] = {base, base + "/{customer}/reports/{report}", base + "/*"};
    const std::string paths[] = {base, base + "/acme/reports/2026-11", base + "/a/b/c"};
    match.path = forms[i % 3];
    request.path = paths[i % 3];
  }
  return config;
}

int run() {
  using Clock = std::chrono::steady_clock;
  std::vector<Request> requests;
  const config::Config config = make_config(requests);
  const routes::RouteTable table(config);
  routes::Fields fields;
  fields.push_back({"Accept", "*/*"});
  fields.push_back({"X-Api-Version", "2"});
  std::shuffle(requests.begin(), requests.end(), std::mt19937(1));  // NOLINT(cert-msc51-cpp)
  std::vector<double> nanoseconds;
  nanoseconds.reserve(rounds * requests.size());
  std::size_t wrong = table.problems().size();
  const std::size_t before = allocations;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const Request& request : requests) {
      const auto began = Clock::now();
      const auto match = table.match({"GET", request.host, request.path, "", &fields});
      const std::chrono::duration<double, std::nano> took = Clock::now() - began;
      if (match.route != &config.routes[request.route]) ++wrong;
      nanoseconds.push_back(took.count());
    }
  }
  const std::size_t allocated = allocations - before;
  std::sort(nanoseconds.begin(), nanoseconds.end());
  std::printf("%zu routes: median %.0f ns, p99 %.0f ns a match, %zu allocations, %zu wrong\n",
              routes_count, nanoseconds[nanoseconds.size() / 2],
              nanoseconds[nanoseconds.size() * 99 / 100], allocated, wrong);
  return wrong == 0 && allocated == 0 ? 0 : 1;
}

}  // namespace
}  // namespace raincheck::bench

int main() {
  return raincheck::bench::run();
}
