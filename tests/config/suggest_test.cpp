#include "config/suggest.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace raincheck::config;

TEST_CASE("the distance of two words counts a swap of neighbours as one step") {
  const struct {
    std::string_view a;
    std::string_view b;
    std::size_t expected;
  } cases[] = {{"", "", 0},
               {"", "abc", 3},
               {"abc", "abc", 0},
               {"abc", "acb", 1},
               {"abc", "ab", 1},
               {"kitten", "sitting", 3},
               {"upsteam", "upstream", 1},
               {"drian", "drain", 1}};
  for (const auto& c : cases) {
    CAPTURE(c.a);
    CHECK(edit_distance(c.a, c.b) == c.expected);
    CHECK(edit_distance(c.b, c.a) == c.expected);
  }
}

TEST_CASE("only a word that is near is suggested, and the nearest one") {
  const std::vector<std::string> words = {"upstream", "name", "match", "retry"};
  CHECK(did_you_mean("upsteam", words) == "did you mean 'upstream'?");
  CHECK(did_you_mean("mathc", words) == "did you mean 'match'?");
  CHECK(did_you_mean("nam", words) == "did you mean 'name'?");
  CHECK(did_you_mean("elephant", words) == "");
  CHECK(did_you_mean("", words) == "");
  CHECK(did_you_mean(std::string(1'000'000, 'x'), words) == "");
  CHECK(nearest("retri", {"retro", "retry"}) == "retro");  // the first of equals
}
