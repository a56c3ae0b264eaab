// Sockets that listen: opening them at start-up, which throws, and the addresses that people read.
// Knows no protocol.
#pragma once

#include <sys/types.h>

#include <string>

#include "proxy/descriptor.hpp"

namespace raincheck::proxy {

// Connections that may wait to be accepted at one socket.
constexpr int listen_backlog = 4'096;

// The file of a unix socket that was bound here. It goes with this, unless another has taken its
// place; and before the socket is closed, for as long no other process can.
class SocketFile {
 public:
  SocketFile() = default;
  explicit SocketFile(std::string path);
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) = delete;
  ~SocketFile() { remove(); }
  void remove();

 private:
  std::string path_;  // empty: there is none
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct ListeningSocket {
  Descriptor socket;
  SocketFile file;  // none: it is of TCP, or not ours
};

// `address` is host:port, [v6]:port or unix:/path, as config::Listener has it. Several may listen
// on one TCP address (SO_REUSEPORT). A port of 0 is chosen by the system; the address then in force
// is written back. Throws std::runtime_error with the address and the reason.
// `first`: nobody may listen there yet. Everybody may open a unix socket who can enter its
// directory: what is in front of us, or collects metrics, runs as another user.
ListeningSocket listen_on(std::string& address, bool first);

// A unix socket at `path` that only its owner and its group may open. One that a dead process left
// behind is replaced. Throws as above.
ListeningSocket listen_on_admin_socket(const std::string& path);
// Where a socket listens, in the same form.
std::string listening_address(int socket);

}  // namespace raincheck::proxy
