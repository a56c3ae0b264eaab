#include "proxy/file_watch.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temporary_directory.hpp"

using raincheck::config::Environment;
using raincheck::proxy::FileWatch;
using raincheck::test::TemporaryDirectory;

namespace {

void write(const std::string& path, const char* text) {
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("what changes after it was read, while the rest still is, has changed") {
  const TemporaryDirectory directory;
  write(directory / "a.yaml", "a");
  FileWatch watch;
  const Environment environment = watch.noting(Environment::process());
  CHECK(environment.file(directory / "a.yaml") == "a");
  CHECK_FALSE(environment.file(directory / "missing.yaml"));
  CHECK(environment.glob(directory / "*.yaml").size() == 1);
  CHECK(watch.look() == watch.noted());
  write(directory / "a.yaml", "longer");
  CHECK(watch.look() != watch.noted());
  // Read a second time, it is not taken for what was read first.
  CHECK(environment.file(directory / "a.yaml") == "longer");
  CHECK(watch.look() != watch.noted());
}

TEST_CASE("a file that comes or goes is a change") {
  const TemporaryDirectory directory;
  FileWatch watch;
  const Environment environment = watch.noting(Environment::process());
  CHECK(environment.glob(directory / "*.yaml").empty());
  CHECK_FALSE(environment.file(directory / "secret"));
  const std::string noted = watch.noted();
  CHECK(watch.look() == noted);
  write(directory / "one.yaml", "");
  const std::string with_one = watch.look();
  CHECK(with_one != noted);
  write(directory / "secret", "");
  CHECK(watch.look() != with_one);
}
