// One stream socket, of a client or of a backend. Whoever waits for it says until when; a reader
// and a writer wait each for themselves. TCP and unix sockets alike, with TLS or without, which its
// users hardly notice. Lives on one shard; one reader and one writer at a time.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "jobs/error.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/readiness.hpp"
#include "proxy/timers.hpp"
#include "proxy/tls.hpp"

namespace raincheck::proxy {

// What a read or write came to.
enum class Io : std::uint8_t {
  ok,
  end,      // reading: the peer has ended its side in order; with TLS, it has said so
  reset,    // the connection failed, or was closed by us
  timeout,  // the deadline passed
};

struct Transfer {
  Io io = Io::ok;
  std::size_t size = 0;
};

// Up to three pieces that are written one after the other, in one system call where possible.
class Parts {
 public:
  // Not an aggregate: g++ 12 destroys those twice in a statement with co_await.
  Parts(std::string_view first, std::string_view second = {}, std::string_view third = {})
      : parts_{first, second, third} {}

  std::size_t size() const { return parts_[0].size() + parts_[1].size() + parts_[2].size(); }
  bool empty() const { return size() == 0; }
  void remove_prefix(std::size_t size);
  const std::array<std::string_view, 3>& all() const { return parts_; }

 private:
  std::array<std::string_view, 3> parts_;
};

class Connection final : public Timed, private Watched {
 public:
  // `socket` does not block.
  Connection(Descriptor socket, Timers& timers, Readiness& readiness);
  ~Connection() override;

  // Connects a new socket to `name`.
  awaitable<Io> connect(const sockaddr* name, socklen_t size, TimePoint deadline);

  // From now on what is read and written goes through TLS: `ssl` accepts or connects, and
  // `received` was read already. Then the handshake; why it failed is for tls()->why().
  void begin_tls(OpensslPtr<SSL> ssl, std::string received = {});
  awaitable<Io> shake_hands(TimePoint deadline);
  const Tls* tls() const { return tls_.get(); }  // null: plain
  // The first byte of what is there, which stays there; nothing: none is.
  std::optional<char> peek() const;

  // What is there now, without waiting; ok with size 0 when nothing is.
  Transfer try_read(std::span<char> into);
  class Wait;
  // Awaited: ok when there may be something to read (or the end of it), else what came instead.
  Wait wait_readable(TimePoint deadline);

  // All of it, until `limit` at the latest. Times out after `progress` in which nothing could be
  // written.
  awaitable<Io> write(Parts parts, std::chrono::milliseconds progress, TimePoint limit = never);
  // The same for one piece, but it returns Io::end as soon as the peer sends something or ends: it
  // may be answering before it has read everything. What was written is taken off `bytes`.
  awaitable<Io> write_unless_readable(std::string_view& bytes,
                                      std::chrono::milliseconds progress,
                                      TimePoint limit);
  // What the socket takes now.
  Transfer try_write(const Parts& parts);

  // A byte of anything was accepted by the socket since it was connected or this was last reset.
  std::uint64_t written() const { return written_; }

  // Ends what is being waited for with Io::reset, and all that comes after it.
  void abort();
  bool aborted() const { return aborted_; }
  // Who waits to read now waits no longer than until then.
  void read_until(TimePoint deadline) { set_read_deadline(std::min(read_by_, deadline)); }
  // Takes abort() and a passed deadline back: what follows is waited for anew.
  void resume() { aborted_ = timed_out_ = false; }
  // Our side ends; the peer reads everything before it. Waits, until `limit`, only with TLS.
  awaitable<void> shutdown_send(TimePoint limit);
  // With TLS, tells an idle peer that we end, as far as that can be done at once.
  void close_notify();
  void close();
  // False: the peer has ended, or we have. One that has sent more than was read is there.
  bool is_there();
  // True if the peer has neither ended nor sent anything: fit for another request.
  bool is_quiet();

 private:
  friend class Tls;
  enum class For : std::uint8_t { read, write, either };

  void on_deadline() override;
  void on_ready(std::uint32_t events) override;
  bool is_ready(For what) const;
  bool may_go_on(For what);
  void begin(For what, store::Promise& waiting, TimePoint deadline);
  Io end(For what);
  Transfer receive(std::span<char> into);
  Transfer send(const Parts& parts);
  void wake(store::Promise*& waiting);
  void set_read_deadline(TimePoint deadline);
  void set_write_deadline(TimePoint deadline);

  Descriptor socket_;
  Timers& timers_;
  Readiness& readiness_;
  std::unique_ptr<Tls> tls_;  // null: plain
  store::Promise* reader_ = nullptr;
  store::Promise* writer_ = nullptr;  // or who waits for either
  TimePoint read_by_ = never;         // while somebody waits to read
  TimePoint write_by_ = never;        // while somebody waits to write
  std::uint64_t written_ = 0;
  int straight_ = 0;  // waits since others had their turn
  // As far as is known: false is sure until the next event, true may be wrong.
  bool readable_ = false;
  bool writable_ = true;
  bool ended_ = false;  // nothing comes after what is there
  bool either_ = false;
  bool aborted_ = false;
  bool timed_out_ = false;
};

class Connection::Wait {
 public:
  Wait(Connection& connection, For what, TimePoint deadline)
      : connection_(connection), what_(what), deadline_(deadline) {}

  bool await_ready() { return connection_.aborted_ || connection_.may_go_on(what_); }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiting) {
    connection_.begin(what_, waiting.promise(), deadline_);
  }
  Io await_resume() { return connection_.end(what_); }

 private:
  Connection& connection_;
  For what_;
  TimePoint deadline_;
};

inline Connection::Wait Connection::wait_readable(TimePoint deadline) {
  return Wait(*this, For::read, deadline);
}

// The address of a socket's peer without the port; "unix" for a unix socket.
std::string peer_address(int socket);

}  // namespace raincheck::proxy
