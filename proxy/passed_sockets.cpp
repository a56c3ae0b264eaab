#include "proxy/passed_sockets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace raincheck::proxy {

namespace {

// As systemd leaves them to us they may block, and they delay small writes.
void prepare(int socket) {
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

PassedSockets PassedSockets::take() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    throw std::runtime_error(
        fmt::format("the sockets from systemd cannot be taken: {}", std::strerror(-count)));
  }
  std::vector<Passed> passed;
  for (int i = 0; i < count; ++i) {
    passed.push_back({names[i], Descriptor(SD_LISTEN_FDS_START + i)});
    std::free(names[i]);
  }
  std::free(names);
  return PassedSockets(std::move(passed));
}

std::vector<int> PassedSockets::named(std::string_view name) const {
  std::vector<int> found;
  for (const Passed& each : passed_) {
    if (each.name != name) continue;
    if (::sd_is_socket(each.socket.get(), AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
      throw std::runtime_error(fmt::format(
          "systemd:{}: what systemd passed is no listening stream socket: it needs ListenStream= "
          "and Accept=no",
          name));
    }
    prepare(each.socket.get());
    found.push_back(each.socket.get());
  }
  if (!found.empty()) return found;
  const std::vector<std::string> others = names_besides({});
  throw std::runtime_error(
      fmt::format("systemd:{}: systemd passed no socket of this name, {}", name,
                  others.empty() ? std::string("nor any other: is the socket unit started?")
                                 : fmt::format("but '{}'", fmt::join(others, "', '"))));
}

std::vector<std::string> PassedSockets::names_besides(const std::vector<std::string>& used) const {
  std::vector<std::string> names;
  for (const Passed& each : passed_) {
    const auto is_known = [&each](const std::vector<std::string>& in) {
      return std::find(in.begin(), in.end(), each.name) != in.end();
    };
    if (!is_known(used) && !is_known(names)) names.push_back(each.name);
  }
  return names;
}

Descriptor duplicate(int socket) {
  Descriptor copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (!copy) {
    throw std::runtime_error(
        fmt::format("a listening socket cannot be duplicated: {}", std::strerror(errno)));
  }
  return copy;
}

}  // namespace raincheck::proxy
