#include "proxy/outliers.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace raincheck::proxy;
using namespace std::chrono_literals;
using raincheck::jobs::Fault;
using raincheck::jobs::TimePoint;

namespace {

raincheck::config::Upstream pool_of(std::size_t servers) {
  raincheck::config::Upstream upstream;
  upstream.servers.resize(servers);
  upstream.outlier_detection.consecutive_errors = 3;
  upstream.outlier_detection.ejection_time = 30s;
  return upstream;
}

struct Fixture {
  explicit Fixture(const raincheck::config::Upstream& of) : upstream(of) {}
  explicit Fixture(std::size_t servers) : Fixture(pool_of(servers)) {}

  // So many calls of a server that fail: for how long the last one ejects it.
  std::optional<std::chrono::milliseconds> fail(std::size_t server, int calls = 3) {
    std::optional<std::chrono::milliseconds> ejected;
    for (int i = 0; i < calls; ++i) ejected = outliers.failed(server, now);
    return ejected;
  }
  bool is_ejected(std::size_t server) { return outliers.is_ejected(server, now); }

  const raincheck::config::Upstream upstream;
  Outliers outliers{upstream};
  TimePoint now{1h};
};

}  // namespace

TEST_CASE("a server is ejected when so many calls have failed in a row") {
  Fixture pool(2);
  CHECK_FALSE(pool.fail(0, 2));
  CHECK_FALSE(pool.is_ejected(0));
  pool.outliers.succeeded(0);
  CHECK_FALSE(pool.fail(0, 2));
  CHECK_FALSE(pool.fail(1, 2));
  CHECK(pool.fail(0, 1) == 30s);
  CHECK(pool.is_ejected(0));
  CHECK_FALSE(pool.is_ejected(1));
}

TEST_CASE("an ejected server returns when its time is over, and that is told once") {
  Fixture pool(2);
  CHECK_FALSE(pool.outliers.has_returned(0, pool.now));
  pool.fail(0);
  CHECK(pool.outliers.returns_at(0) == pool.now + 30s);
  pool.now += 30s - 1ms;
  CHECK(pool.is_ejected(0));
  CHECK_FALSE(pool.outliers.has_returned(0, pool.now));
  pool.now += 1ms;
  CHECK_FALSE(pool.is_ejected(0));
  CHECK(pool.outliers.has_returned(0, pool.now));
  CHECK_FALSE(pool.outliers.has_returned(0, pool.now));
  CHECK_FALSE(pool.fail(0, 2));
  CHECK(pool.fail(0, 1));
}

TEST_CASE("calls that were under way when their server was ejected change nothing") {
  Fixture pool(2);
  pool.fail(0);
  pool.now += 10s;
  CHECK_FALSE(pool.fail(0, 10));
  CHECK(pool.outliers.returns_at(0) == pool.now + 20s);
  pool.now += 20s;
  CHECK_FALSE(pool.is_ejected(0));
  CHECK_FALSE(pool.fail(0, 2));
}

TEST_CASE("a server that fails again soon is ejected for longer, but not for ever") {
  Fixture pool(2);
  for (int time = 1; time <= 12; ++time) {
    CAPTURE(time);
    const auto ejected = pool.fail(0);
    REQUIRE(ejected);
    CHECK(*ejected == 30s * std::min(time, Outliers::longest));
    pool.now += *ejected + 1s;
  }
}

TEST_CASE("a server that was well for as long as it was ejected begins anew") {
  Fixture pool(2);
  pool.fail(0);
  pool.now += 31s;
  CHECK(pool.fail(0) == 60s);
  pool.now += 60s + 59s;
  CHECK(pool.fail(0) == 90s);
  pool.now += 90s + 90s;
  CHECK(pool.fail(0) == 30s);
}

TEST_CASE("never more servers are ejected than the share, and one always stays") {
  const auto ejected_of = [](std::size_t servers, std::uint32_t percent) {
    auto upstream = pool_of(servers);
    upstream.outlier_detection.max_ejected_percent = percent;
    Fixture pool(upstream);
    std::size_t ejected = 0;
    for (std::size_t i = 0; i < servers; ++i) ejected += pool.fail(i) ? 1U : 0U;
    for (std::size_t i = 0, left = ejected; i < servers; ++i) {
      CHECK(pool.is_ejected(i) == (left != 0));
      if (left != 0) --left;
    }
    return ejected;
  };
  CHECK(ejected_of(1, 100) == 0);
  CHECK(ejected_of(2, 49) == 0);
  CHECK(ejected_of(2, 50) == 1);
  CHECK(ejected_of(2, 100) == 1);
  CHECK(ejected_of(3, 50) == 1);
  CHECK(ejected_of(4, 50) == 2);
  CHECK(ejected_of(5, 100) == 4);
  CHECK(ejected_of(4, 0) == 0);
}

TEST_CASE("who may not be ejected yet is as soon as another has returned") {
  Fixture pool(2);
  pool.fail(0);
  CHECK_FALSE(pool.fail(1, 5));
  pool.now += 30s;
  CHECK(pool.fail(1, 1) == 30s);
}

TEST_CASE("without a number of errors nobody is ejected") {
  auto upstream = pool_of(3);
  upstream.outlier_detection.consecutive_errors = 0;
  Fixture pool(upstream);
  CHECK_FALSE(pool.fail(0, 100));
}

TEST_CASE("no connection, none or no valid answer in time and gateway errors are the server's") {
  for (const Fault fault : {Fault::upstream_unreachable, Fault::upstream_lost,
                            Fault::upstream_timeout, Fault::upstream_protocol_error}) {
    CHECK(verdict_of(fault, 0) == Verdict::bad);
  }
  for (const Fault fault :
       {Fault::internal, Fault::overloaded, Fault::store_full, Fault::store_failed, Fault::stopping,
        Fault::rewrite_failed, Fault::client_gone}) {
    CHECK(verdict_of(fault, 0) == Verdict::nothing);
  }
  for (const int status : {502, 503, 504}) CHECK(verdict_of({}, status) == Verdict::bad);
  for (const int status : {101, 200, 302, 404, 429, 500, 501, 505}) {
    CHECK(verdict_of({}, status) == Verdict::good);
  }
}
