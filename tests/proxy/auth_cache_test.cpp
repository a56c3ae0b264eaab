#include "proxy/auth_cache.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace raincheck;
using proxy::AuthCache;
using std::chrono::seconds;

TEST_CASE("what was allowed is known until its time is over") {
  AuthCache cache;
  const jobs::TimePoint start{seconds(1000)};
  const AuthCache::Key key = cache.key_of("route", "question");
  CHECK(cache.find(key, start) == nullptr);
  cache.put(key, "X-User: ada\r\n", start, start + seconds(5));
  REQUIRE(cache.find(key, start) != nullptr);
  CHECK(*cache.find(key, start + seconds(5) - jobs::TimePoint::duration(1)) == "X-User: ada\r\n");
  CHECK(cache.find(key, start + seconds(5)) == nullptr);
  CHECK(cache.size() == 0);
  cache.put(key, "X-User: eve\r\n", start, start + seconds(5));
  cache.put(key, "", start, start + seconds(9));
  CHECK(cache.size() == 1);
  CHECK(cache.find(key, start + seconds(8))->empty());
}

TEST_CASE("questions of different routes are different, and so are the keys of two caches") {
  const AuthCache cache;
  const AuthCache other;
  CHECK(cache.key_of("a", "b") == cache.key_of("a", "b"));
  CHECK(cache.key_of("a", "b") != cache.key_of("b", "b"));
  CHECK(cache.key_of("a", "b") != cache.key_of("a", "c"));
  CHECK(cache.key_of("a", "bc") != cache.key_of("ab", "c"));
  CHECK(cache.key_of("a", "b") != other.key_of("a", "b"));
}

TEST_CASE("the cache is bounded: the oldest goes first, and what is over goes before it is full") {
  AuthCache cache;
  const jobs::TimePoint start{seconds(1000)};
  const jobs::TimePoint until = start + seconds(60);
  const auto key_of = [&cache](std::size_t i) { return cache.key_of("r", std::to_string(i)); };
  for (std::size_t i = 0; i <= AuthCache::entries_max; ++i) cache.put(key_of(i), "", start, until);
  CHECK(cache.size() == AuthCache::entries_max);
  CHECK(cache.find(key_of(0), start) == nullptr);
  CHECK(cache.find(key_of(1), start) != nullptr);
  CHECK(cache.find(key_of(AuthCache::entries_max), start) != nullptr);
  cache.put(key_of(0), "", until, until + seconds(60));
  CHECK(cache.size() == 1);

  cache.put(key_of(1), std::string(AuthCache::copied_max, 'x'), until, until + seconds(60));
  CHECK(cache.size() == 2);
  cache.put(key_of(2), std::string(AuthCache::copied_max + 1, 'x'), until, until + seconds(60));
  CHECK(cache.size() == 2);
}
