#include "jobs/id.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace raincheck::jobs;

namespace {

IdCodec::Secret secret(std::uint8_t seed) {
  IdCodec::Secret bytes{};
  bytes.fill(seed);
  return bytes;
}

Random random_bytes(std::uint8_t seed) {
  Random bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(seed + 7 * i);
  return bytes;
}

}  // namespace

TEST_CASE("an id comes back from its text, at the limits of a place too") {
  IdCodec codec(secret(1));
  const Place places[] = {{0, 0, 1},
                          {1, 2, 3},
                          {255, Place::lane_max, Place::sequence_max},
                          {254, 1, Place::sequence_max - 1},
                          {128, 0x800000, 0x4000000000}};
  for (const Place& place : places) {
    for (int seed = 0; seed < 256; ++seed) {
      const JobId id{place, random_bytes(static_cast<std::uint8_t>(seed))};
      const IdText text = codec.encode(id);
      CHECK(view(text).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789-_") == std::string_view::npos);
      CHECK(codec.decode(view(text)) == id);
    }
  }
}

TEST_CASE("a place survives the integer key of its row") {
  for (const Place& place :
       {Place{3, 0, 1}, Place{3, Place::lane_max, Place::sequence_max}, Place{3, 77, 12345}}) {
    CHECK(place.key() > 0);
    CHECK(Place::from_key(3, place.key()) == place);
  }
  CHECK(Place{0, 1, 9}.key() < Place{0, 1, 10}.key());
  CHECK(Place{0, 1, Place::sequence_max}.key() < Place{0, 2, 1}.key());
}

TEST_CASE("texts that are not ids decode to nothing") {
  IdCodec codec(secret(1));
  const std::string good(view(codec.encode(JobId{Place{0, 1, 1}, random_bytes(9)})));
  CHECK_FALSE(codec.decode(""));
  CHECK_FALSE(codec.decode(good.substr(1)));
  CHECK_FALSE(codec.decode(good + "A"));
  for (const char bad : {'=', '+', '/', '.', '%', '\0', '\x80'}) {
    std::string text = good;
    text[31] = bad;
    CHECK_FALSE(codec.decode(text));
  }
}

TEST_CASE("ids of neighbouring places show no pattern, and another secret does not read them") {
  IdCodec codec(secret(1));
  IdCodec other(secret(2));
  std::set<std::string> tails;
  int misread = 0;
  for (int i = 0; i < 200; ++i) {
    const JobId id{Place{0, 1, 1}, random_bytes(static_cast<std::uint8_t>(i))};
    const IdText text = codec.encode(id);
    tails.insert(std::string(view(text).substr(20)));
    const auto decoded = other.decode(view(text));
    if (decoded && decoded->place == id.place) ++misread;
  }
  CHECK(tails.size() == 200);
  CHECK(misread == 0);
}
