#include "proxy/balance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using raincheck::proxy::next_server;
using raincheck::proxy::ServerState;

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
