#include "proxy/job_view.hpp"

#include <doctest/doctest.h>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
namespace jobs = raincheck::jobs;

TEST_CASE("a job behind others waits for those of other routes too, with which they take turns") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(slow(10s));
  proxy.start();
  proxy.safe("known");
  proxy->advance(10s);
  const auto ends_in = [&proxy](const jobs::JobId& id) {
    jobs::Job job = proxy->find(id);
    job.ahead = 2;
    const auto completion =
        raincheck::proxy::estimate_of(proxy->shard().services(), job).completion;
    return completion ? std::optional(*completion - proxy.clock.wall_now()) : std::nullopt;
  };
  proxy.safe("runs");
  const jobs::JobId waits = proxy.safe("waits");
  REQUIRE(ends_in(waits));
  CHECK(*ends_in(waits) > 39s);
  CHECK(*ends_in(waits) < 41s);
  proxy.unsafe("waits too");
  CHECK(*ends_in(waits) > 59s);
  CHECK(*ends_in(waits) < 61s);
  proxy->pause_route("safe", true);
  CHECK_FALSE(ends_in(waits));
  proxy->pause_route("safe", false);
  CHECK(ends_in(waits));
  proxy->slots().pause(true);
  CHECK_FALSE(ends_in(waits));
}
