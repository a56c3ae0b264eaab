#include "proxy/connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <cerrno>

namespace raincheck::proxy {

namespace asio = boost::asio;

namespace {

constexpr auto as_tuple = asio::as_tuple(use_awaitable);

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Connection::Connection(Socket socket, Timers& timers)
    : socket_(std::move(socket)), timers_(timers) {
  timers.watch(*this);
}

Connection::~Connection() {
  close();
}

void Connection::set_read_deadline(TimePoint deadline) {
  read_by_ = deadline;
  set_deadline(std::min(read_by_, write_by_));
}

void Connection::set_write_deadline(TimePoint deadline) {
  write_by_ = deadline;
  set_deadline(std::min(read_by_, write_by_));
}

awaitable<Io> Connection::connect(Connection& connection,
                                  const asio::generic::stream_protocol::endpoint& endpoint,
                                  TimePoint deadline) {
  connection.set_write_deadline(deadline);
  const auto [error] = co_await connection.socket_.async_connect(endpoint, as_tuple);
  connection.set_write_deadline(never);
  if (error || connection.aborted_) co_return connection.failure(error);
  boost::system::error_code ignored;
  connection.socket_.non_blocking(true, ignored);
  co_return Io::ok;
}

Io Connection::failure(boost::system::error_code error) const {
  if (timed_out_) return Io::timeout;
  if (aborted_) return Io::reset;
  return error == asio::error::eof ? Io::end : Io::reset;
}

Transfer Connection::try_read(std::span<char> into) {
  if (aborted_) return {timed_out_ ? Io::timeout : Io::reset, 0};
  const ssize_t size = ::recv(native(), into.data(), into.size(), MSG_DONTWAIT);
  if (size > 0) return {Io::ok, static_cast<std::size_t>(size)};
  if (size == 0) return {Io::end, 0};
  return {would_block() ? Io::ok : Io::reset, 0};
}

awaitable<Io> Connection::wait_readable(TimePoint deadline) {
  if (aborted_) co_return timed_out_ ? Io::timeout : Io::reset;
  set_read_deadline(deadline);
  const auto [error] = co_await socket_.async_wait(Socket::wait_read, as_tuple);
  set_read_deadline(never);
  if (error || aborted_) co_return failure(error);
  co_return Io::ok;
}

Transfer Connection::try_write(std::string_view first, std::string_view second) {
  if (aborted_) return {timed_out_ ? Io::timeout : Io::reset, 0};
  std::array<iovec, 2> parts{iovec{const_cast<char*>(first.data()), first.size()},
                             iovec{const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = second.empty() ? 1 : 2;
  const ssize_t size = ::sendmsg(native(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return {would_block() ? Io::ok : Io::reset, 0};
  written_ += static_cast<std::uint64_t>(size);
  return {Io::ok, static_cast<std::size_t>(size)};
}

awaitable<Io> Connection::write(std::string_view first,
                                std::string_view second,
                                std::chrono::milliseconds progress,
                                TimePoint limit) {
  while (!first.empty() || !second.empty()) {
    if (first.empty()) std::swap(first, second);
    const Transfer transfer = try_write(first, second);
    if (transfer.io != Io::ok) co_return transfer.io;
    const std::size_t of_first = std::min(transfer.size, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(transfer.size - of_first);
    if (transfer.size != 0) continue;
    set_write_deadline(std::min(limit, timers_.now() + progress));
    const auto [error] = co_await socket_.async_wait(Socket::wait_write, as_tuple);
    set_write_deadline(never);
    if (error || aborted_) co_return failure(error);
  }
  co_return Io::ok;
}

awaitable<Io> Connection::write_unless_readable(std::string_view& bytes,
                                                std::chrono::milliseconds progress,
                                                TimePoint limit) {
  while (!bytes.empty()) {
    const Transfer transfer = try_write(bytes);
    if (transfer.io != Io::ok) co_return transfer.io;
    bytes.remove_prefix(transfer.size);
    if (transfer.size != 0) continue;
    set_write_deadline(std::min(limit, timers_.now() + progress));
    auto readable = socket_.async_wait(Socket::wait_read, asio::deferred);
    auto writable = socket_.async_wait(Socket::wait_write, asio::deferred);
    auto either = asio::experimental::make_parallel_group(std::move(readable), std::move(writable));
    const auto [order, read_error, write_error] =
        co_await either.async_wait(asio::experimental::wait_for_one(), use_awaitable);
    set_write_deadline(never);
    if (aborted_) co_return timed_out_ ? Io::timeout : Io::reset;
    if (order[0] == 0 && !read_error) co_return Io::end;
  }
  co_return Io::ok;
}

void Connection::on_deadline() {
  timed_out_ = true;
  abort();
}

void Connection::abort() {
  aborted_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::shutdown_send() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Connection::close() {
  aborted_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

bool Connection::is_there() {
  char byte = 0;
  const ssize_t size = ::recv(native(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return !aborted_ && (size > 0 || (size < 0 && would_block()));
}

bool Connection::is_quiet() {
  char byte = 0;
  const ssize_t size = ::recv(native(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return size < 0 && would_block();
}

std::string peer_address(Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "unknown";
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  } else {
    return "unix";
  }
  return text.data();
}

}  // namespace raincheck::proxy
