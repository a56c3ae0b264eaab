// Unix sockets as other processes have them.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "proxy/descriptor.hpp"

namespace raincheck::test {

inline sockaddr_un unix_name(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  return name;
}

// What a process leaves there that was killed.
inline void leave_socket(const std::string& path) {
  const sockaddr_un name = unix_name(path);
  const proxy::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

}  // namespace raincheck::test
