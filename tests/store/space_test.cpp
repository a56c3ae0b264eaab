#include "store/space.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;

namespace {

constexpr std::uint64_t quarter = 16 * 1024;

std::uint64_t size_of_reserve(const TemporaryDirectory& directory) {
  struct stat status {};
  if (::stat((directory / "reserve").c_str(), &status) != 0) return 0;
  // On the disk, not only in its name.
  CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 >=
        static_cast<std::uint64_t>(status.st_size));
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

TEST_CASE("the room for new jobs is what is left of the limit") {
  TemporaryDirectory directory;
  Space space({100, 0, 0});
  space.open(directory / "");
  CHECK(space.room() == 100);
  space.set_rows(60);
  space.add_files(30);
  CHECK(space.room() == 10);
  space.add_files(30);
  CHECK(space.room() == 0);
  CHECK(space.may_begin());
  space.subtract_files(60);
  CHECK(space.room() == 40);
}

TEST_CASE("there is no room for new jobs while less than the minimum is free") {
  TemporaryDirectory directory;
  Space plenty({0, 1, 0});
  plenty.open(directory / "");
  CHECK(plenty.room() > 0);
  Space little({0, std::uint64_t{1} << 60, 0});
  little.open(directory / "");
  CHECK(little.room() == 0);
  CHECK(little.may_begin());
}

TEST_CASE("the reserve is given up bit by bit, nothing begins meanwhile, and it is taken again") {
  TemporaryDirectory directory;
  Space space({0, 0, 4 * quarter});
  CHECK_FALSE(space.is_whole());
  space.open(directory / "");
  CHECK(space.is_whole());
  CHECK(size_of_reserve(directory) == 4 * quarter);
  CHECK(space.room() > 0);
  CHECK(space.may_begin());
  for (std::uint64_t left = 3; left >= 1; --left) {
    space.give_up(Space::For::recording);
    CHECK(size_of_reserve(directory) == left * quarter);
    CHECK(space.room() == 0);
    CHECK_FALSE(space.may_begin());
  }
  space.give_up(Space::For::recording);
  CHECK(size_of_reserve(directory) == quarter);
  space.give_up(Space::For::reclaiming);
  CHECK(size_of_reserve(directory) == 0);
  space.give_up(Space::For::reclaiming);
  space.take_again();
  CHECK(space.is_whole());
  CHECK(size_of_reserve(directory) == 4 * quarter);
  CHECK(space.may_begin());
}

TEST_CASE(
    "calls begin beyond the limit for as much as the reserve, for their results have to go "
    "somewhere") {
  TemporaryDirectory directory;
  Space space({1'000, 0, quarter});
  space.open(directory / "");
  space.set_rows(1'000 + quarter - 1);
  CHECK(space.room() == 0);
  CHECK(space.may_begin());
  space.set_rows(1'000 + quarter);
  CHECK_FALSE(space.may_begin());
}

TEST_CASE("the reserve is what the settings say after a start, and is not made of holes") {
  TemporaryDirectory directory;
  SUBCASE("larger before") {
    std::ofstream(directory / "reserve") << std::string(8 * quarter, 'x');
  }
  SUBCASE("with holes") {
    std::ofstream(directory / "reserve").close();
    REQUIRE(::truncate((directory / "reserve").c_str(), 4 * quarter) == 0);
  }
  {
    Space space({0, 0, 4 * quarter});
    space.open(directory / "");
    CHECK(space.is_whole());
    CHECK(size_of_reserve(directory) == 4 * quarter);
  }
  Space none({0, 0, 0});
  none.open(directory / "");
  CHECK_FALSE(std::filesystem::exists(directory / "reserve"));
}
