// One stream socket, of a client or of a backend, with one deadline for whatever is being waited
// for. TCP and unix sockets alike; TLS will be a property of this class, not another one. Lives on
// one shard; one reader and one writer at a time.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <span>
#include <string_view>

#include "jobs/error.hpp"
#include "proxy/timers.hpp"

namespace raincheck::proxy {

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;

// What a read or write came to.
enum class Io : std::uint8_t {
  ok,
  end,      // reading: the peer has ended its side in order
  reset,    // the connection failed, or was closed by us
  timeout,  // the deadline passed
};

struct Transfer {
  Io io = Io::ok;
  std::size_t size = 0;
};

class Connection final : public Timed {
 public:
  Connection(Socket socket, Timers& timers);
  ~Connection();

  // Connects a new socket to `endpoint`.
  static awaitable<Io> connect(Connection& connection,
                               const boost::asio::generic::stream_protocol::endpoint& endpoint);

  // At least one byte into `into`, unless the result says otherwise.
  awaitable<Transfer> read_some(std::span<char> into);
  // What is there now, without waiting; ok with size 0 when nothing is.
  Transfer try_read(std::span<char> into);
  // Until there is something to read (or the end of it).
  awaitable<Io> wait_readable();

  // All of `bytes`. With `progress`, the deadline is moved that far ahead whenever something was
  // written.
  awaitable<Io> write(std::string_view bytes, std::chrono::milliseconds progress = {});
  // Both, in one system call where possible.
  awaitable<Io> write(std::string_view first,
                      std::string_view second,
                      std::chrono::milliseconds progress = {});
  // The same, but Io::end as soon as the peer sends something or ends: it answers before it has
  // read everything.
  awaitable<Io> write_unless_readable(std::string_view bytes, std::chrono::milliseconds progress);
  // What the socket takes now.
  Transfer try_write(std::string_view first, std::string_view second = {});

  // A byte of anything was accepted by the socket since it was connected or this was last reset.
  std::uint64_t written() const { return written_; }

  // Ends what is being waited for with Io::reset, and all that comes after it.
  void abort();
  bool aborted() const { return aborted_; }
  // Takes abort() and a passed deadline back: what follows is read under a new deadline.
  void resume() { aborted_ = timed_out_ = false; }
  // Our side ends; the peer reads everything before it.
  void shutdown_send();
  void close();
  // True if the peer has neither ended nor sent anything: fit for another request.
  bool is_quiet();

  Socket& socket() { return socket_; }
  int native() { return socket_.native_handle(); }

 private:
  void on_deadline() override;
  Io failure(boost::system::error_code error) const;

  Socket socket_;
  Timers& timers_;
  std::uint64_t written_ = 0;
  bool aborted_ = false;
  bool timed_out_ = false;
};

// The address of a socket's peer without the port; "unix" for a unix socket.
std::string peer_address(Socket& socket);

}  // namespace raincheck::proxy
