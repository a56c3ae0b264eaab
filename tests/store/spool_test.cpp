#include "store/spool.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::Fault;

namespace {

std::unique_ptr<SpoolWriter> create(Spool& spool) {
  auto created = spool.create(SpoolUse::request);
  REQUIRE(created.has_value());
  return std::move(*created);
}

std::string read_all(Spool& spool, std::uint64_t number, std::size_t size) {
  auto reader = spool.open(number);
  REQUIRE(reader.has_value());
  std::string bytes(size, '\0');
  REQUIRE((*reader)->read(0, bytes).has_value());
  return bytes;
}

}  // namespace

TEST_CASE("a body is written in pieces and read from any offset") {
  TemporaryDirectory directory;
  Spool spool(directory / "a/b/spool");
  auto writer = create(spool);
  CHECK(writer->append("one ").has_value());
  CHECK(writer->append("").has_value());
  CHECK(writer->append("two").has_value());
  CHECK(writer->sync().has_value());
  CHECK(writer->size() == 7);
  CHECK(read_all(spool, writer->number(), 7) == "one two");
  auto reader = spool.open(writer->number());
  REQUIRE(reader.has_value());
  std::string part(3, ' ');
  CHECK((*reader)->read(4, part).has_value());
  CHECK(part == "two");
  CHECK((*reader)->read(5, part).error().fault == Fault::internal);
}

TEST_CASE("files and directories of the spool are private") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool");
  const auto writer = create(spool);
  struct stat status {};
  REQUIRE(::stat((directory / "spool").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  const auto files = std::filesystem::directory_iterator(directory / "spool");
  REQUIRE(::stat(files->path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a file goes with its writer unless it was released or kept") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool");
  std::uint64_t number = 0;
  SUBCASE("neither") {
    auto writer = create(spool);
    REQUIRE(writer->append("12345").has_value());
    number = writer->number();
    writer.reset();
    CHECK_FALSE(spool.open(number).has_value());
    CHECK(spool.bytes() == 0);
  }
  SUBCASE("released") {
    auto writer = create(spool);
    REQUIRE(writer->append("12345").has_value());
    number = writer->number();
    writer->release();
    writer.reset();
    CHECK(read_all(spool, number, 5) == "12345");
    CHECK(spool.bytes() == 5);
  }
  SUBCASE("kept by a commit") {
    auto writer = create(spool);
    number = writer->number();
    spool.keep(number);
    writer.reset();
    CHECK(spool.open(number).has_value());
  }
  SUBCASE("kept by a commit that did not happen") {
    auto writer = create(spool);
    number = writer->number();
    spool.keep(number);
    spool.unkeep(number);
    writer.reset();
    CHECK_FALSE(spool.open(number).has_value());
  }
}

TEST_CASE("the spool takes bytes up to its limit and not one more") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool", {10, 0, 0});
  auto one = create(spool);
  auto two = create(spool);
  CHECK(one->append("123456").has_value());
  CHECK(two->append("12345").error().fault == Fault::store_full);
  CHECK(two->size() == 0);
  CHECK(two->append("1234").has_value());
  CHECK(two->append("5").error().fault == Fault::store_full);
  CHECK(spool.bytes() == 10);
  one.reset();
  CHECK(spool.bytes() == 4);
  CHECK(two->append("567890").has_value());
  CHECK(read_all(spool, two->number(), 10) == "1234567890");
}

TEST_CASE("what belongs to an accepted job is written beyond the limit") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool", {10, 0, 0});
  auto request = create(spool);
  REQUIRE(request->append("1234567890").has_value());
  auto result = spool.create(SpoolUse::accepted);
  REQUIRE(result.has_value());
  CHECK((*result)->append("1234567890").has_value());
  CHECK(request->append("1").error().fault == Fault::store_full);
  CHECK(spool.bytes() == 20);
}

TEST_CASE("a write that fails half-way leaves nothing behind") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool");
  auto writer = create(spool);
  REQUIRE(writer->append(std::string(1'000, 'a')).has_value());
  // The largest size of a file stands in for a disk that has room for half of the bytes.
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit unlimited {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  struct rlimit small = unlimited;
  small.rlim_cur = 1'500;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto refused = writer->append(std::string(1'000, 'b'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  ::signal(SIGXFSZ, before);
  CHECK_FALSE(refused.has_value());
  CHECK(writer->size() == 1'000);
  CHECK(spool.bytes() == 1'000);
  CHECK(writer->append(std::string(1'000, 'b')).has_value());
  CHECK(read_all(spool, writer->number(), 2'000) ==
        std::string(1'000, 'a') + std::string(1'000, 'b'));
}

TEST_CASE("the first numbers after a start are above every file that there is") {
  TemporaryDirectory directory;
  std::vector<std::uint64_t> numbers;
  {
    Spool spool(directory / "spool");
    for (int i = 0; i < 3; ++i) {
      auto writer = create(spool);
      REQUIRE(writer->append("123").has_value());
      writer->release();
      numbers.push_back(writer->number());
    }
  }
  Spool spool(directory / "spool");
  CHECK(spool.has_files());
  CHECK(spool.remove_orphans({numbers[1]}) == 2);
  CHECK(spool.bytes() == 3);
  CHECK_FALSE(spool.open(numbers[0]).has_value());
  CHECK(spool.open(numbers[1]).has_value());
  CHECK(create(spool)->number() > numbers[2]);
}

TEST_CASE("files that are not the spool's are left alone, and a planted link is not followed") {
  TemporaryDirectory directory;
  Spool spool(directory / "spool");
  const int other = ::open((directory / "spool/readme").c_str(), O_CREAT | O_WRONLY, 0600);
  REQUIRE(other >= 0);
  ::close(other);
  REQUIRE(::symlink("/etc/passwd", (directory / "spool/0000000000000001").c_str()) == 0);
  CHECK_FALSE(spool.open(1).has_value());
  CHECK_FALSE(spool.create(SpoolUse::request).has_value());
  CHECK(spool.remove_orphans({}) == 1);
  CHECK(std::filesystem::exists(directory / "spool/readme"));
}
