#include "proxy/listening.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <vector>

#include "tests/support/temporary_directory.hpp"

using raincheck::proxy::Descriptor;
using raincheck::proxy::listen_on_admin_socket;
using raincheck::test::TemporaryDirectory;

TEST_CASE("a unix socket of a process that is too busy to accept is not waited for, nor taken") {
  const TemporaryDirectory directory;
  const std::string path = directory / "busy.sock";
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
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
