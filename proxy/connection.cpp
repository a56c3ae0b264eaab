#include "proxy/connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>

namespace raincheck::proxy {

namespace {

// So many reads and writes follow one another without a wait; then the shard's others have their
// turn, however fast this peer is.
constexpr int straight_max = 16;

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Connection::Connection(Descriptor socket, Timers& timers, Readiness& readiness)
    : socket_(std::move(socket)), timers_(timers), readiness_(readiness) {
  timers.watch(*this);
  aborted_ = !readiness.add(socket_.get(), *this);
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

bool Connection::is_ready(For what) const {
  switch (what) {
    case For::read:
      return readable_;
    case For::write:
      return writable_;
    case For::either:
      return readable_ || writable_;
  }
  return true;
}

bool Connection::may_go_on(For what) {
  return is_ready(what) && ++straight_ < straight_max;
}

void Connection::begin(For what, store::Promise& waiting, TimePoint deadline) {
  straight_ = 0;
  if (is_ready(what)) {
    readiness_.wake(waiting);
    return;
  }
  if (what == For::read) {
    reader_ = &waiting;
    set_read_deadline(deadline);
  } else {
    writer_ = &waiting;
    either_ = what == For::either;
    set_write_deadline(deadline);
  }
}

Io Connection::end(For what) {
  what == For::read ? set_read_deadline(never) : set_write_deadline(never);
  if (timed_out_) return Io::timeout;
  return aborted_ ? Io::reset : Io::ok;
}

void Connection::on_ready(std::uint32_t events) {
  const bool failed = (events & (EPOLLHUP | EPOLLERR)) != 0;
  ended_ = ended_ || failed || (events & EPOLLRDHUP) != 0;
  readable_ = readable_ || ended_ || (events & EPOLLIN) != 0;
  writable_ = writable_ || failed || (events & EPOLLOUT) != 0;
  if (tls_ && tls_->is_crossed()) readable_ = writable_ = true;
  store::Promise* reader = nullptr;
  store::Promise* writer = nullptr;
  if (readable_) std::swap(reader, reader_);
  if (writable_ || (either_ && readable_)) std::swap(writer, writer_);
  // The first to resume may destroy this connection.
  if (reader) reader->self.resume();
  if (writer) writer->self.resume();
}

void Connection::wake(store::Promise*& waiting) {
  if (waiting) readiness_.wake(*std::exchange(waiting, nullptr));
}

awaitable<Io> Connection::connect(const sockaddr* name, socklen_t size, TimePoint deadline) {
  if (::connect(socket_.get(), name, size) != 0) {
    if (errno != EINPROGRESS) co_return Io::reset;
    writable_ = false;
    Wait writable(*this, For::write, deadline);
    const Io io = co_await writable;
    if (io != Io::ok) co_return io;
    int error = 0;
    socklen_t error_size = sizeof error;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
    if (error != 0) co_return Io::reset;
  }
  co_return Io::ok;
}

void Connection::begin_tls(OpensslPtr<SSL> ssl, std::string received) {
  tls_ = std::make_unique<Tls>(*this, std::move(ssl), std::move(received));
}

awaitable<Io> Connection::shake_hands(TimePoint deadline) {
  while (!aborted_) {
    const Tls::Handshake step = tls_->shake_hands();
    if (step == Tls::Handshake::done) co_return Io::ok;
    if (step == Tls::Handshake::failed) co_return Io::reset;
    Wait ready(*this, step == Tls::Handshake::wants_read ? For::read : For::write, deadline);
    const Io io = co_await ready;
    if (io != Io::ok) co_return io;
  }
  co_return Io::reset;
}

std::optional<char> Connection::peek() const {
  char byte = 0;
  const ssize_t size = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return size == 1 ? std::optional(byte) : std::nullopt;
}

Transfer Connection::try_read(std::span<char> into) {
  if (aborted_) return {timed_out_ ? Io::timeout : Io::reset, 0};
  return tls_ ? tls_->read(into) : receive(into);
}

Transfer Connection::receive(std::span<char> into) {
  const ssize_t size = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
  // A short read has taken everything, epoll(7); whether the end comes after it, recv() must say.
  if (size < 0 || (!ended_ && static_cast<std::size_t>(size) < into.size())) readable_ = false;
  if (size > 0) return {Io::ok, static_cast<std::size_t>(size)};
  if (size < 0) return {would_block() ? Io::ok : Io::reset, 0};
  readable_ = true;
  return {Io::end, 0};
}

void Parts::remove_prefix(std::size_t size) {
  for (std::string_view& part : parts_) {
    const std::size_t of_part = std::min(size, part.size());
    part.remove_prefix(of_part);
    size -= of_part;
  }
}

Transfer Connection::try_write(const Parts& parts) {
  if (aborted_) return {timed_out_ ? Io::timeout : Io::reset, 0};
  return tls_ ? tls_->write(parts) : send(parts);
}

Transfer Connection::send(const Parts& parts) {
  std::array<iovec, 3> pieces{};
  std::size_t count = 0;
  for (const std::string_view part : parts.all()) {
    if (!part.empty()) pieces[count++] = iovec{const_cast<char*>(part.data()), part.size()};
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  const ssize_t size = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  writable_ = size >= 0 && static_cast<std::size_t>(size) == parts.size();
  if (size < 0) return {would_block() ? Io::ok : Io::reset, 0};
  written_ += static_cast<std::uint64_t>(size);
  return {Io::ok, static_cast<std::size_t>(size)};
}

awaitable<Io> Connection::write(Parts parts, std::chrono::milliseconds progress, TimePoint limit) {
  while (!parts.empty()) {
    const Transfer transfer = try_write(parts);
    if (transfer.io != Io::ok) co_return transfer.io;
    parts.remove_prefix(transfer.size);
    if (transfer.size != 0) continue;
    Wait writable(*this, For::write, std::min(limit, timers_.now() + progress));
    const Io io = co_await writable;
    if (io != Io::ok) co_return io;
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
    Wait either(*this, For::either, std::min(limit, timers_.now() + progress));
    const Io io = co_await either;
    if (io != Io::ok) co_return io;
    if (readable_) co_return Io::end;
  }
  co_return Io::ok;
}

void Connection::on_deadline() {
  timed_out_ = true;
  abort();
}

void Connection::abort() {
  aborted_ = true;
  wake(reader_);
  wake(writer_);
}

awaitable<void> Connection::shutdown_send(TimePoint limit) {
  while (tls_ && !tls_->end()) {
    writable_ = false;
    Wait writable(*this, For::write, limit);
    const Io io = co_await writable;
    if (io != Io::ok) co_return;
  }
  ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::close_notify() {
  if (tls_) (void)tls_->end();
}

void Connection::close() {
  abort();
  if (socket_) readiness_.remove(socket_.get(), *this);
  socket_.close();
}

bool Connection::is_there() {
  if (tls_) return !aborted_ && tls_->look() != Tls::Look::end;
  char byte = 0;
  const ssize_t size = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return !aborted_ && (size > 0 || (size < 0 && would_block()));
}

bool Connection::is_quiet() {
  if (tls_) return tls_->look() == Tls::Look::nothing;
  char byte = 0;
  const ssize_t size = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return size < 0 && would_block();
}

std::string peer_address(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "unknown";
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    // A socket that serves both families has IPv4 clients, too.
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text.data(), text.size());
      return text.data();
    }
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  } else {
    return "unix";
  }
  return text.data();
}

}  // namespace raincheck::proxy
