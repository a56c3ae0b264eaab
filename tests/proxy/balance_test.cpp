#include "proxy/balance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

using namespace raincheck::proxy;
using raincheck::config::LbPolicy;

namespace {

std::vector<ServerState> servers(const std::vector<std::uint32_t>& weights) {
  std::vector<ServerState> servers;
  for (const std::uint32_t weight : weights) servers.push_back(ServerState{weight});
  return servers;
}

// So many turns, each server by its letter.
std::string turns(std::vector<ServerState>& servers, int count) {
  std::string turns;
  for (int i = 0; i < count; ++i) {
    const auto chosen = next_server(servers);
    turns += chosen ? static_cast<char>('a' + *chosen) : '-';
  }
  return turns;
}

}  // namespace

TEST_CASE("servers of the same weight take turns") {
  auto three = servers({1, 1, 1});
  CHECK(turns(three, 7) == "abcabca");
  auto one = servers({9});
  CHECK(turns(one, 3) == "aaa");
  auto none = servers({});
  CHECK(turns(none, 1) == "-");
}

TEST_CASE("a server has as many turns as its weight, evenly spread") {
  auto three = servers({5, 1, 1});
  CHECK(turns(three, 14) == "aabacaaaabacaa");
  auto two = servers({1, 2});
  CHECK(turns(two, 6) == "babbab");
  auto far_apart = servers({1000, 1});
  CHECK(turns(far_apart, 1001).find('b') != std::string::npos);
}

TEST_CASE("a server that may not be chosen is passed over, and comes back without saved turns") {
  auto three = servers({2, 1, 1});
  three[0].usable = false;
  CHECK(turns(three, 4) == "bcbc");
  three[0].usable = true;
  const std::string after = turns(three, 8);
  CHECK(std::count(after.begin(), after.end(), 'a') == 4);
  for (ServerState& server : three) server.usable = false;
  CHECK(turns(three, 1) == "-");
}

TEST_CASE("the least busy server for its weight is called, and equals take turns") {
  auto three = servers({1, 2, 1});
  three[0].calls = 1;
  three[1].calls = 3;
  three[2].calls = 2;
  CHECK(least_busy_server(three) == 0);
  three[0].calls = 2;
  CHECK(least_busy_server(three) == 1);
  auto equal = servers({1, 1});
  std::string turns;
  for (int i = 0; i < 4; ++i) {
    equal[0].calls = equal[1].calls = 7;
    turns += static_cast<char>('a' + *least_busy_server(equal));
  }
  CHECK(turns == "abab");
  equal[0].usable = equal[1].usable = false;
  CHECK_FALSE(least_busy_server(equal));
}

TEST_CASE("idle servers are called as their weights say, not the heaviest always") {
  auto two = servers({1, 3});
  std::string turns;
  for (int i = 0; i < 8; ++i) {
    turns += static_cast<char>('a' + *least_busy_server(two));
  }
  CHECK(std::count(turns.begin(), turns.end(), 'a') == 2);
}

namespace {

// A pool of so many servers, with addresses as they might be.
std::vector<ServerState> addressed(const std::vector<std::uint32_t>& weights) {
  auto pool = servers(weights);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    pool[i].hash = hash_text("10.0.0." + std::to_string(i) + ":8080");
  }
  return pool;
}

constexpr int keys = 10'000;

std::vector<std::size_t> homes(const std::vector<ServerState>& pool) {
  std::vector<std::size_t> homes;
  for (int i = 0; i < keys; ++i) {
    homes.push_back(server_of_key(pool, hash_text("session-" + std::to_string(i))).value());
  }
  return homes;
}

}  // namespace

TEST_CASE("keys are spread over servers as their weights say") {
  const auto home = homes(addressed({1, 2, 1}));
  for (const auto& [server, share] : {std::pair{0, 0.25}, {1, 0.5}, {2, 0.25}}) {
    const auto count = std::count(home.begin(), home.end(), static_cast<std::size_t>(server));
    CHECK(static_cast<double>(count) == doctest::Approx(share * keys).epsilon(0.05));
  }
}

TEST_CASE("a server that is lost moves its own keys only, to all the others") {
  auto pool = addressed({1, 1, 1, 1});
  const auto before = homes(pool);
  pool[2].usable = false;
  const auto after = homes(pool);
  std::vector<int> moved(pool.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 2) {
      REQUIRE(after[i] == before[i]);
    } else {
      ++moved[after[i]];
    }
  }
  CHECK(moved[2] == 0);
  for (const std::size_t other : {0U, 1U, 3U}) CHECK(moved[other] > keys / 4 / 3 / 2);
}

TEST_CASE("a server that is added takes keys from the others and moves none between them") {
  const auto before = homes(addressed({1, 1, 1}));
  const auto after = homes(addressed({1, 1, 1, 1}));
  int moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (after[i] == before[i]) continue;
    REQUIRE(after[i] == 3);
    ++moved;
  }
  CHECK(moved == doctest::Approx(keys / 4).epsilon(0.1));
}

TEST_CASE("where a key belongs does not depend on the order of the servers") {
  auto pool = addressed({1, 2, 3});
  const std::uint64_t key = hash_text("a");
  const std::uint64_t home = pool[server_of_key(pool, key).value()].hash;
  std::reverse(pool.begin(), pool.end());
  CHECK(pool[server_of_key(pool, key).value()].hash == home);
  for (ServerState& server : pool) server.usable = false;
  CHECK_FALSE(server_of_key(pool, key));
}

TEST_CASE("each policy chooses by its own rule, and a call without a key takes turns") {
  auto pool = addressed({1, 1, 1});
  pool[0].calls = pool[1].calls = 5;
  const std::uint64_t key = hash_text("a");
  const auto home = server_of_key(pool, key);
  CHECK(choose_server(LbPolicy::hash, pool, key) == home);
  CHECK(choose_server(LbPolicy::hash, pool, key) == home);
  CHECK(choose_server(LbPolicy::hash, pool, {}) == 0);
  CHECK(choose_server(LbPolicy::hash, pool, {}) == 1);
  CHECK(choose_server(LbPolicy::round_robin, pool, key) == 2);
  CHECK(choose_server(LbPolicy::least_conn, pool, key) == 2);
}

TEST_CASE("the weight of a server that comes back grows with the time that it is back") {
  using namespace std::chrono_literals;
  struct Case {
    const char* name;
    std::uint32_t weight;
    std::chrono::nanoseconds back;
    std::chrono::milliseconds slow_start;
    std::uint32_t expected;
  };
  const Case cases[] = {
      {"this very moment", 1, 0s, 30s, 1},
      {"a tenth", 1, 3s, 30s, 100},
      {"half", 1, 15s, 30s, 500},
      {"half of more", 4, 15s, 30s, 2000},
      {"nearly all", 1, 29'970ms, 30s, 999},
      {"all", 1, 30s, 30s, 1000},
      {"long since", 1000, 24h, 30s, 1'000'000},
      {"not asked for", 3, 0s, 0s, 3000},
      {"not back yet", 2, -5s, 30s, 2000},
      {"not back yet, and not asked for", 2, -5s, 0s, 2000},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(slow_start_weight(c.weight, c.back, c.slow_start) == c.expected);
  }
}

TEST_CASE("a server that comes back takes its part of the turns and no burst") {
  auto two = servers({whole_weight, whole_weight});
  two[1].usable = false;
  CHECK(turns(two, 20) == std::string(20, 'a'));
  two[1].usable = true;
  int before = 0;
  for (const std::uint32_t part : {100u, 250u, 500u, 1000u}) {
    CAPTURE(part);
    two[1].weight = part;
    const std::string taken = turns(two, 440);
    const auto count = static_cast<int>(std::count(taken.begin(), taken.end(), 'b'));
    const int expected = static_cast<int>(440 * part / (1000 + part));
    CHECK(std::abs(count - expected) <= 1);
    CHECK(count > before);
    before = count;
  }
}

TEST_CASE("among busy servers the one that comes back gets calls as its part says") {
  auto two = servers({whole_weight, whole_weight / 10});
  two[0].calls = 9;
  two[1].calls = 1;
  CHECK(least_busy_server(two) == 0);
  two[0].calls = 11;
  CHECK(least_busy_server(two) == 1);
  two[1].calls = 0;
  two[0].calls = 1;
  CHECK(least_busy_server(two) == 1);
}

TEST_CASE("the unit of weights does not move a key") {
  auto plain = servers({1, 2, 3});
  auto scaled = servers({1 * whole_weight, 2 * whole_weight, 3 * whole_weight});
  for (std::size_t i = 0; i < plain.size(); ++i) plain[i].hash = scaled[i].hash = i * 7919;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    CHECK(server_of_key(plain, key) == server_of_key(scaled, key));
  }
}
