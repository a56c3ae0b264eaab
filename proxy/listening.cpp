#include "proxy/listening.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace raincheck::proxy {
namespace {

[[noreturn]] void fail(const std::string& address, const char* doing) {
  throw std::runtime_error(fmt::format("{}: {}: {}", address, doing, std::strerror(errno)));
}

// Of another kind: it is no socket that an earlier process left behind.
bool is_other_file(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

// `mode` whatever the umask: it is there before anybody can connect.
ListeningSocket listen_on_unix(const std::string& address, mode_t mode) {
  const std::string path = address.substr(sizeof "unix:" - 1);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path)
    throw std::runtime_error(address + ": the path is too long");
  std::memcpy(name.sun_path, path.data(), path.size());
  if (is_other_file(path)) throw std::runtime_error(address + ": there is a file of another kind");
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) fail(address, "socket");
  // Before bind(), so that there is no moment at which anybody else can open it; and after it,
  // for umask takes away from the first.
  ::fchmod(socket.get(), mode);
  // A socket that an earlier process left behind; one that somebody still answers on, or will when
  // there is room in its backlog (EAGAIN), is not ours to take.
  Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* const peer = reinterpret_cast<const sockaddr*>(&name);
  if (::connect(probe.get(), peer, sizeof name) == 0 || errno == EAGAIN) {
    throw std::runtime_error(address + ": another process listens there");
  }
  if (errno == ECONNREFUSED) ::unlink(path.c_str());
  if (::bind(socket.get(), peer, sizeof name) != 0) fail(address, "bind");
  SocketFile file(path);
  if (::chmod(path.c_str(), mode) != 0) fail(address, "chmod");
  if (::listen(socket.get(), listen_backlog) != 0) fail(address, "listen");
  return {std::move(socket), std::move(file)};
}

// SO_REUSEPORT would let a second process share the address unseen: one without it tells.
void refuse_if_taken(const std::string& address, const addrinfo& name) {
  Descriptor probe(::socket(name.ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(probe.get(), name.ai_addr, name.ai_addrlen) != 0) fail(address, "bind");
}

}  // namespace

SocketFile::SocketFile(std::string path) : path_(std::move(path)) {
  struct stat status {};
  ::lstat(path_.c_str(), &status);
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

void SocketFile::remove() {
  if (path_.empty()) return;
  struct stat status {};
  const bool is_ours =
      ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  if (is_ours) ::unlink(path_.c_str());
  path_.clear();
}

ListeningSocket listen_on_admin_socket(const std::string& path) {
  constexpr mode_t owner_and_group = 0660;
  return listen_on_unix("unix:" + path, owner_and_group);
}

ListeningSocket listen_on(std::string& address, bool first) {
  constexpr mode_t everybody = 0666;
  if (address.starts_with("unix:")) return listen_on_unix(address, everybody);
  const std::size_t colon = address.rfind(':');
  const std::string port = address.substr(colon + 1);
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) throw std::runtime_error(fmt::format("{}: {}", address, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);

  if (first) refuse_if_taken(address, *found);
  Descriptor socket(
      ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!socket) fail(address, "socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // Accepted connections inherit this one.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0) fail(address, "bind");
  if (::listen(socket.get(), listen_backlog) != 0) fail(address, "listen");
  if (port == "0") address = listening_address(socket.get());
  return {std::move(socket), {}};
}

std::string listening_address(int socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  if (name.ss_family == AF_UNIX) {
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un&>(name).sun_path);
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&name), size, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  return name.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                    : fmt::format("{}:{}", host, port);
}

}  // namespace raincheck::proxy
