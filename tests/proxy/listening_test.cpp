#include "proxy/listening.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "tests/support/sockets.hpp"
#include "tests/support/temporary_directory.hpp"

using raincheck::proxy::Descriptor;
using raincheck::proxy::listen_on;
using raincheck::proxy::listen_on_admin_socket;
using raincheck::proxy::ListeningSocket;
using raincheck::test::leave_socket;
using raincheck::test::TemporaryDirectory;
using raincheck::test::unix_name;

namespace {

ListeningSocket listen_at(const std::string& path) {
  std::string address = "unix:" + path;
  return listen_on(address, true);
}

// Nothing: there is no such file.
std::optional<mode_t> mode_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("a unix socket of a process that is too busy to accept is not waited for, nor taken") {
  const TemporaryDirectory directory;
  const std::string path = directory / "busy.sock";
  const sockaddr_un name = unix_name(path);
  const auto* const peer = reinterpret_cast<const sockaddr*>(&name);
  const Descriptor busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(busy.get(), peer, sizeof name) == 0);
  REQUIRE(::listen(busy.get(), 0) == 0);
  std::vector<Descriptor> waiting;
  do {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  } while (::connect(waiting.back().get(), peer, sizeof name) == 0);
  REQUIRE(errno == EAGAIN);
  const std::string why = "unix:" + path + ": another process listens there";
  CHECK_THROWS_WITH(listen_on_admin_socket(path), why.c_str());
}

TEST_CASE("who may open a unix socket is not for the umask to say") {
  const TemporaryDirectory directory;
  const mode_t before = ::umask(0077);
  const ListeningSocket listener = listen_at(directory / "http.sock");
  const ListeningSocket admin = listen_on_admin_socket(directory / "admin.sock");
  ::umask(before);
  CHECK(mode_of(directory / "http.sock") == mode_t{0666});
  CHECK(mode_of(directory / "admin.sock") == mode_t{0660});
}

TEST_CASE("the file of a unix socket goes with it, and what a dead process left is replaced") {
  const TemporaryDirectory directory;
  const std::string path = directory / "http.sock";
  leave_socket(path);
  for (int i = 0; i < 2; ++i) {
    ListeningSocket socket = listen_at(path);
    const ListeningSocket moved = std::move(socket);
    CHECK(mode_of(path));
  }
  CHECK_FALSE(mode_of(path));
}

TEST_CASE("a file that another has put in the place of ours stays") {
  const TemporaryDirectory directory;
  const std::string path = directory / "http.sock";
  {
    ListeningSocket socket = listen_at(path);
    REQUIRE(::unlink(path.c_str()) == 0);
    leave_socket(path);
    socket.file.remove();
    CHECK(mode_of(path));
  }
  CHECK(mode_of(path));
}
