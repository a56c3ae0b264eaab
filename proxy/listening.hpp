// Sockets that listen: opening them at start-up, which throws, and the addresses that people read.
// Knows no protocol.
#pragma once

#include <cstdint>
#include <string>

namespace raincheck::proxy {

// An open descriptor. Closes it; owned by whoever accepts from it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int file) : file_(file) {}
  Descriptor(Descriptor&& other) noexcept : file_(other.file_) { other.file_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return file_; }
  explicit operator bool() const { return file_ >= 0; }
  int release();

 private:
  int file_ = -1;
};

// `address` is host:port, [v6]:port or unix:/path, as config::Listener has it. Several may listen
// on one TCP address (SO_REUSEPORT). A port of 0 is chosen by the system; the address then in force
// is written back. Throws std::runtime_error with the address and the reason.
// `first`: nobody may listen there yet.
Descriptor listen_on(std::string& address, bool first);

}  // namespace raincheck::proxy
