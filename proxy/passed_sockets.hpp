// The listening sockets that systemd opened and passed to this process (sd_listen_fds(3)), by the
// name that their unit gives them. systemd keeps them open when this process ends: who connects
// meanwhile waits for the next one. Owned by the Server; main thread. Never shuts one down.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/descriptor.hpp"

namespace raincheck::proxy {

class PassedSockets {
 public:
  struct Passed {
    std::string name;  // FileDescriptorName=
    Descriptor socket;
  };

  // What LISTEN_FDS says, if LISTEN_PID is this process; taken out of the environment. Call it once
  // and before there are other threads. Throws std::runtime_error.
  static PassedSockets take();
  explicit PassedSockets(std::vector<Passed> passed) : passed_(std::move(passed)) {}

  // Those of one name, at least one. Throws std::runtime_error when there is none, which says what
  // there is, or when one is no listening stream socket.
  std::vector<int> named(std::string_view name) const;
  // The names that are none of these.
  std::vector<std::string> names_besides(const std::vector<std::string>& used) const;

 private:
  std::vector<Passed> passed_;
};

// A descriptor of its own for the same socket. Throws std::runtime_error.
Descriptor duplicate(int socket);

}  // namespace raincheck::proxy
