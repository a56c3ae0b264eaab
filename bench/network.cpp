#include "bench/network.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace raincheck::bench {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in to_sockaddr(const Address& address) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(address.port);
  inet_pton(AF_INET, address.host.c_str(), &made.sin_addr);
  return made;
}

// The casts that the socket interface demands, in one place.
template <class Call>
int with_sockaddr(sockaddr_in& address, Call call) {
  return call(reinterpret_cast<sockaddr*>(&address), socklen_t{sizeof address});
}

void set_option(int fd, int level, int option) {
  const int on = 1;
  if (setsockopt(fd, level, option, &on, sizeof on) != 0) fail("setsockopt");
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

std::optional<Address> read_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Address address{std::string(text.substr(0, colon)), 0};
  if (address.host == "localhost") address.host = "127.0.0.1";
  in_addr parsed{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  const bool is_good = error == std::errc() && stopped == end &&
                       inet_pton(AF_INET, address.host.c_str(), &parsed) == 1;
  return is_good ? std::optional(address) : std::nullopt;
}

Descriptor listen_on(const Address& address) {
  Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (listener.get() < 0) fail("socket");
  set_option(listener.get(), SOL_SOCKET, SO_REUSEADDR);
  sockaddr_in local = to_sockaddr(address);
  const int bound = with_sockaddr(local, [&listener](const sockaddr* name, socklen_t length) {
    return bind(listener.get(), name, length);
  });
  if (bound != 0) fail("bind " + address.host + ":" + std::to_string(address.port));
  if (listen(listener.get(), SOMAXCONN) != 0) fail("listen");
  return listener;
}

Descriptor connect_to(const Address& address) {
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.get() < 0) fail("socket");
  sockaddr_in remote = to_sockaddr(address);
  const int connected = with_sockaddr(remote, [&made](const sockaddr* name, socklen_t length) {
    return connect(made.get(), name, length);
  });
  if (connected != 0) fail("connect to " + address.host + ":" + std::to_string(address.port));
  set_option(made.get(), IPPROTO_TCP, TCP_NODELAY);
  if (fcntl(made.get(), F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
  return made;
}

std::optional<Descriptor> accept_from(const Descriptor& listener) {
  Descriptor accepted(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (accepted.get() < 0) {
    if (errno == EMFILE || errno == ENFILE) fail("accept");
    return std::nullopt;
  }
  set_option(accepted.get(), IPPROTO_TCP, TCP_NODELAY);
  return accepted;
}

std::uint16_t local_port(const Descriptor& socket) {
  sockaddr_in local{};
  const int told = with_sockaddr(local, [&socket](sockaddr* name, socklen_t length) {
    return getsockname(socket.get(), name, &length);
  });
  if (told != 0) fail("getsockname");
  return ntohs(local.sin_port);
}

void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
}

std::ptrdiff_t receive(const Descriptor& socket, std::span<char> into) {
  const ssize_t count = recv(socket.get(), into.data(), into.size(), 0);
  if (count >= 0) return count;
  return errno == EAGAIN || errno == EINTR ? would_block : broken;
}

std::ptrdiff_t send(const Descriptor& socket, std::string_view bytes) {
  const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return count;
  return errno == EAGAIN || errno == EINTR ? would_block : broken;
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_.get() < 0) fail("epoll_create1");
}

void Poller::add(const Descriptor& descriptor, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor.get(), &event) != 0) fail("epoll_ctl");
}

void Poller::watch_writable(const Descriptor& descriptor, std::uint64_t key, bool wanted) {
  epoll_event event{};
  event.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = key;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor.get(), &event) != 0) fail("epoll_ctl");
}

std::span<const epoll_event> Poller::wait(TimePoint deadline) {
  const auto left = std::max(deadline - Clock::now(), Clock::duration::zero());
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
  const int count = epoll_pwait2(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                                 &timeout, nullptr);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2");
  return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace raincheck::bench
