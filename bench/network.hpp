// Thin owners of file descriptors: sockets on IPv4 and one epoll set. What fails here fails the
// program: std::system_error. Used from one thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace raincheck::bench {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// "127.0.0.1:8080"
struct Address {
  std::string host;
  std::uint16_t port = 0;
};
std::optional<Address> read_address(std::string_view text);

// Both are non-blocking afterwards, with TCP_NODELAY.
Descriptor listen_on(const Address& address);
Descriptor connect_to(const Address& address);
std::optional<Descriptor> accept_from(const Descriptor& listener);
std::uint16_t local_port(const Descriptor& socket);
void allow_many_descriptors();

// The two results of a read or write that are not a count.
inline constexpr std::ptrdiff_t would_block = -1;
inline constexpr std::ptrdiff_t broken = -2;
std::ptrdiff_t receive(const Descriptor& socket, std::span<char> into);
std::ptrdiff_t send(const Descriptor& socket, std::string_view bytes);

// Level-triggered.
class Poller {
 public:
  Poller();
  void add(const Descriptor& descriptor, std::uint64_t key);
  void watch_writable(const Descriptor& descriptor, std::uint64_t key, bool wanted);
  // The events until `deadline`, at least; with the kernel's high-resolution timer, not in whole
  // milliseconds.
  std::span<const epoll_event> wait(TimePoint deadline);

 private:
  Descriptor epoll_;
  std::array<epoll_event, 256> events_{};
};

}  // namespace raincheck::bench
