#include "proxy/connection.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>

#include "tests/support/manual_clock.hpp"

using namespace raincheck::proxy;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using raincheck::test::ManualClock;

namespace {

// A connection, and the peer's end of it.
struct Fixture {
  Fixture() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    peer = Descriptor(ends[0]);
    connection = std::make_unique<Connection>(Descriptor(ends[1]), timers, readiness);
  }

  void start(awaitable<void> task) {
    raincheck::store::spawn(io, std::move(task), [this](const std::exception_ptr&) { ++ended; });
    io.poll();
  }
  void send(std::string_view text) {
    REQUIRE(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  // As much as the socket takes.
  std::size_t fill() {
    const std::string block(4'096, 'x');
    std::size_t size = 0;
    while (connection->try_write(Parts(block)).size == block.size()) size += block.size();
    return size;
  }
  std::size_t drain() {
    std::array<char, 4'096> block{};
    std::size_t size = 0;
    for (ssize_t got = 0; (got = ::recv(peer.get(), block.data(), block.size(), 0)) > 0;) {
      size += static_cast<std::size_t>(got);
    }
    return size;
  }

  asio::io_context io{1};
  ManualClock clock;
  Timers timers{clock};
  Readiness readiness{io};
  Descriptor peer;
  std::unique_ptr<Connection> connection;
  int ended = 0;
};

awaitable<void> read_all(Connection& connection, TimePoint deadline, std::string& got, Io& end) {
  std::array<char, 8> room{};
  while (true) {
    end = co_await connection.wait_readable(deadline);
    if (end != Io::ok) co_return;
    const Transfer transfer = connection.try_read(room);
    got.append(room.data(), transfer.size);
    end = transfer.io;
    if (end != Io::ok) co_return;
  }
}

awaitable<void> write_all(Connection& connection, std::string text, Io& end) {
  end = co_await connection.write(Parts(text), 1s);
}

awaitable<void> write_until_answer(Connection& connection,
                                   std::string text,
                                   std::size_t& left,
                                   Io& end) {
  std::string_view rest = text;
  end = co_await connection.write_unless_readable(rest, 1s, never);
  left = rest.size();
}

}  // namespace

TEST_CASE("what comes is read as it comes, up to the end") {
  Fixture test;
  std::string got;
  Io end = Io::ok;
  test.start(read_all(*test.connection, never, got, end));
  CHECK(got.empty());
  test.send("exactly8");
  test.io.poll();
  CHECK(got == "exactly8");
  test.send("more than fits into one read");
  test.io.poll();
  CHECK(got == "exactly8more than fits into one read");
  CHECK(test.ended == 0);
  SUBCASE("the peer ends") {
    ::shutdown(test.peer.get(), SHUT_WR);
    test.io.poll();
    CHECK(end == Io::end);
  }
  SUBCASE("the last bytes come together with the end") {
    test.send("last");
    ::shutdown(test.peer.get(), SHUT_WR);
    test.io.poll();
    CHECK(got.ends_with("last"));
    CHECK(end == Io::end);
  }
  SUBCASE("the peer is gone") {
    test.peer.close();
    test.io.poll();
    CHECK(end == Io::end);
  }
  SUBCASE("we give up") {
    test.connection->abort();
    CHECK(test.ended == 0);
    test.io.poll();
    CHECK(end == Io::reset);
  }
  CHECK(test.ended == 1);
}

TEST_CASE("a wait ends with its deadline, and may be taken up again") {
  Fixture test;
  std::string got;
  Io end = Io::ok;
  test.start(read_all(*test.connection, test.clock.now() + 1s, got, end));
  test.clock.advance(999ms);
  test.timers.sweep();
  test.io.poll();
  CHECK(test.ended == 0);
  test.clock.advance(1ms);
  test.timers.sweep();
  test.io.poll();
  CHECK(end == Io::timeout);
  CHECK(test.connection->wait_readable(never).await_ready());
  test.connection->resume();
  test.start(read_all(*test.connection, never, got, end));
  test.send("late");
  test.io.poll();
  CHECK(got == "late");
  test.connection->abort();
  test.io.poll();
  CHECK(test.ended == 2);
}

TEST_CASE("a write waits for room and goes on from where it was") {
  Fixture test;
  const std::size_t before = test.fill();
  REQUIRE(before > 0);
  Io end = Io::reset;
  const std::string text(100'000, 'y');
  test.start(write_all(*test.connection, text, end));
  CHECK(test.ended == 0);
  std::size_t received = 0;
  while (test.ended == 0) {
    received += test.drain();
    test.io.poll();
  }
  received += test.drain();
  CHECK(end == Io::ok);
  CHECK(test.connection->written() == received);
  CHECK(received >= before + text.size());
}

TEST_CASE("a write without progress times out; with a little it does not") {
  Fixture test;
  test.fill();
  Io end = Io::ok;
  test.start(write_all(*test.connection, std::string(10'000'000, 'y'), end));
  test.clock.advance(999ms);
  test.timers.sweep();
  test.io.poll();
  REQUIRE(test.drain() > 0);
  test.io.poll();
  test.clock.advance(999ms);
  test.timers.sweep();
  test.io.poll();
  CHECK(test.ended == 0);
  test.clock.advance(1ms);
  test.timers.sweep();
  test.io.poll();
  CHECK(end == Io::timeout);
}

TEST_CASE("a write that an answer ends tells what is left") {
  Fixture test;
  test.fill();
  std::size_t left = 0;
  Io end = Io::ok;
  test.start(write_until_answer(*test.connection, "never mind", left, end));
  CHECK(test.ended == 0);
  test.send("no");
  test.io.poll();
  CHECK(end == Io::end);
  CHECK(left == 10);
}

TEST_CASE("a peer that always has more does not keep the others waiting") {
  Fixture test;
  test.send(std::string(10'000, 'z'));
  std::string got;
  Io end = Io::ok;
  std::size_t got_before = 0;
  // Asked for after the first read, so that all of it could be read before.
  asio::post(test.io, [&] { asio::post(test.io, [&] { got_before = got.size(); }); });
  test.start(read_all(*test.connection, never, got, end));
  CHECK(got.size() == 10'000);
  CHECK(got_before < 1'000);
  test.connection->abort();
  test.io.poll();
}
