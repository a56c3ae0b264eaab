// One stream socket, of a client or of a backend. Whoever waits for it says until when; a reader
// and a writer wait each for themselves. TCP and unix sockets alike; TLS will be a property of this
// class, not another one. Lives on one shard; one reader and one writer at a time.
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
  ~Connection() override;

  // Connects a new socket to `endpoint`.
  static awaitable<Io> connect(Connection& connection,
                               const boost::asio::generic::stream_protocol::endpoint& endpoint,
                               TimePoint deadline);

  // What is there now, without waiting; ok with size 0 when nothing is.
  Transfer try_read(std::span<char> into);
  // Until there is something to read (or the end of it), or `deadline`.
  awaitable<Io> wait_readable(TimePoint deadline);

  // All of both, in one system call where possible, until `limit` at the latest. Times out after
  // `progress` in which nothing could be written.
  awaitable<Io> write(std::string_view first,
                      std::string_view second,
                      std::chrono::milliseconds progress,
                      TimePoint limit = never);
  // The same for one piece, but it returns Io::end as soon as the peer sends something or ends: it
  // may be answering before it has read everything. What was written is taken off `bytes`.
  awaitable<Io> write_unless_readable(std::string_view& bytes,
                                      std::chrono::milliseconds progress,
                                      TimePoint limit);
  // What the socket takes now.
  Transfer try_write(std::string_view first, std::string_view second = {});

  // A byte of anything was accepted by the socket since it was connected or this was last reset.
  std::uint64_t written() const { return written_; }

  // Ends what is being waited for with Io::reset, and all that comes after it.
  void abort();
  bool aborted() const { return aborted_; }
  // Takes abort() and a passed deadline back: what follows is waited for anew.
  void resume() { aborted_ = timed_out_ = false; }
  // Our side ends; the peer reads everything before it.
  void shutdown_send();
  void close();
  // False: the peer has ended, or we have. One that has sent more than was read is there.
  bool is_there();
  // True if the peer has neither ended nor sent anything: fit for another request.
  bool is_quiet();

  Socket& socket() { return socket_; }
  int native() { return socket_.native_handle(); }

 private:
  void on_deadline() override;
  void set_read_deadline(TimePoint deadline);
  void set_write_deadline(TimePoint deadline);
  Io failure(boost::system::error_code error) const;

  Socket socket_;
  Timers& timers_;
  TimePoint read_by_ = never;   // while somebody waits to read
  TimePoint write_by_ = never;  // while somebody waits to write
  std::uint64_t written_ = 0;
  bool aborted_ = false;
  bool timed_out_ = false;
};

// The address of a socket's peer without the port; "unix" for a unix socket.
std::string peer_address(Socket& socket);

}  // namespace raincheck::proxy
