// A job as a stream of events, by a client on a socket pair and a manual clock.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tests/support/proxy_fixture.hpp"

using namespace raincheck::test;
using namespace std::chrono_literals;
using raincheck::jobs::JobId;
using raincheck::jobs::State;

namespace {

class Client {
 public:
  Client(ProxyFixture& proxy, const std::string& request)
      : proxy_(proxy), socket_(proxy->connect()) {
    REQUIRE(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) > 0);
    proxy->run();
  }
  ~Client() { hang_up(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What came since the last call.
  std::string hear() {
    std::string heard;
    std::array<char, 4096> piece{};
    for (ssize_t size = 1; size > 0;) {
      size = ::recv(socket_, piece.data(), piece.size(), MSG_DONTWAIT);
      if (size > 0) heard.append(piece.data(), static_cast<std::size_t>(size));
      ended_ = size == 0;
    }
    return heard;
  }
  bool ended() {
    hear();
    return ended_;
  }
  void hang_up() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  ProxyFixture& proxy_;
  int socket_;
  bool ended_ = false;
};

std::string path_of(ProxyFixture& proxy, const JobId& id) {
  raincheck::jobs::IdCodec codec(proxy->store().backend().secret());
  const raincheck::jobs::IdText text = codec.encode(id);
  return "/_jobs/" + std::string(raincheck::jobs::view(text));
}

std::string asking(ProxyFixture& proxy,
                   const JobId& id,
                   const std::string& fields = "",
                   const std::string& method = "GET",
                   const std::string& version = "1.1") {
  return method + " " + path_of(proxy, id) + " HTTP/" + version +
         "\r\nHost: a\r\nAccept: text/event-stream\r\n" + fields + "\r\n";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

std::size_t watched(ProxyFixture& proxy) {
  return proxy->shard().bulletin().waiters();
}

}  // namespace

TEST_CASE("each change of a job is an event, and its end is the end of the stream") {
  ProxyFixture proxy;
  proxy.config.upstreams[0].max_concurrency = 1;
  proxy.answer_with(slow(1s));
  proxy.start();
  proxy.unsafe("first");
  const JobId id = proxy.unsafe("second");
  Client client(proxy, asking(proxy, id));
  const std::string begun = client.hear();
  CHECK(begun.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(contains(begun, "\r\nContent-Type: text/event-stream\r\n"));
  CHECK(contains(begun, "\r\nCache-Control: no-store\r\n"));
  CHECK(contains(begun, "\r\nTransfer-Encoding: chunked\r\n"));
  CHECK(contains(begun, "event: queued\nid: queued-0-0\ndata: {\"id\":\""));
  CHECK(begun.ends_with("}\n\n\r\n"));
  proxy->advance(1s);
  const std::string running = client.hear();
  CHECK(contains(running, "event: running\nid: running-1-0\ndata: {"));
  CHECK(running.ends_with("}\n\n\r\n"));
  proxy->advance(1s);
  const std::string ended = client.hear();
  CHECK(contains(ended, "event: succeeded\nid: succeeded-1-0\ndata: {"));
  CHECK(contains(ended, "\"resultUrl\":\"" + path_of(proxy, id) + "/result\""));
  CHECK(ended.ends_with("}\n\n\r\n0\r\n\r\n"));
  CHECK(watched(proxy) == 0);
  CHECK_FALSE(client.ended());
}

TEST_CASE("a job that has ended is one event, and nothing for who has heard of it") {
  ProxyFixture proxy;
  proxy.start();
  const JobId id = proxy.unsafe("a");
  REQUIRE(proxy.state(id) == State::succeeded);
  const std::string heard = Client(proxy, asking(proxy, id)).hear();
  CHECK(count(heard, "event: ") == 1);
  CHECK(heard.ends_with("\r\n0\r\n\r\n"));
  const std::string again = "Last-Event-ID: succeeded-1-0\r\n";
  CHECK(Client(proxy, asking(proxy, id, again)).hear().starts_with("HTTP/1.1 204 "));
  const std::string before = "Last-Event-ID: running-1-0\r\n";
  CHECK(count(Client(proxy, asking(proxy, id, before)).hear(), "event: succeeded\n") == 1);
}

TEST_CASE("who comes back to a job that has not changed hears of its next change") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s));
  proxy.start();
  const JobId id = proxy.unsafe("a");
  Client client(proxy, asking(proxy, id, "Last-Event-ID: running-1-0\r\n"));
  const std::string begun = client.hear();
  CHECK(begun.starts_with("HTTP/1.1 200 "));
  CHECK(count(begun, "event: ") == 0);
  proxy->advance(1s);
  CHECK(count(client.hear(), "event: succeeded\n") == 1);
}

TEST_CASE("a silent stream has a comment now and then") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  Client client(proxy, asking(proxy, proxy.unsafe("a")));
  client.hear();
  proxy->advance(14'999ms);
  CHECK(client.hear().empty());
  proxy->advance(1ms);
  CHECK(client.hear() == "3\r\n:\n\n\r\n");
  proxy->advance(15s);
  CHECK(client.hear() == "3\r\n:\n\n\r\n");
}

TEST_CASE("an old client gets the stream without chunks, and its end with the connection") {
  ProxyFixture proxy;
  proxy.answer_with(slow(1s));
  proxy.start();
  Client client(proxy, asking(proxy, proxy.unsafe("a"), "", "GET", "1.0"));
  const std::string begun = client.hear();
  CHECK_FALSE(contains(begun, "Transfer-Encoding"));
  CHECK(contains(begun, "\r\nConnection: close\r\n"));
  CHECK(contains(begun, "\r\n\r\nevent: running\n"));
  CHECK(begun.ends_with("}\n\n"));
  proxy->advance(1s);
  CHECK(client.hear().ends_with("}\n\n"));
  CHECK(client.ended());
}

TEST_CASE("HEAD gets the head of the stream at once, and the connection goes on") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  const JobId id = proxy.unsafe("a");
  Client client(proxy, asking(proxy, id, "", "HEAD") + asking(proxy, id, "", "HEAD"));
  const std::string heard = client.hear();
  CHECK(count(heard, "HTTP/1.1 200 OK\r\n") == 2);
  CHECK(count(heard, "Content-Type: text/event-stream\r\n") == 2);
  CHECK(heard.ends_with("\r\n\r\n"));
  CHECK_FALSE(contains(heard, "event: "));
  CHECK(watched(proxy) == 0);
}

TEST_CASE("a stream ends in order when the process drains") {
  ProxyFixture proxy;
  proxy.answer_with(slow(30s));
  proxy.start();
  Client client(proxy, asking(proxy, proxy.unsafe("a")));
  client.hear();
  proxy->shard().drain();
  proxy->run();
  CHECK(client.hear() == "0\r\n\r\n");
  proxy->advance(5s);
  CHECK(client.ended());
  CHECK(proxy->shard().running() == 1);
}

TEST_CASE("nobody watches a job any more for a client that has gone") {
  ProxyFixture proxy;
  proxy.answer_with(hanging());
  proxy.start();
  Client client(proxy, asking(proxy, proxy.unsafe("a")));
  CHECK(watched(proxy) == 1);
  client.hang_up();
  proxy->advance(1s);
  CHECK(watched(proxy) == 0);
}

TEST_CASE("a client that does not read is cut off, and costs no more than its socket holds") {
  ProxyFixture proxy;
  proxy.config.routes[0].retry.max_attempts = 1'000;
  proxy.config.routes[0].retry.backoff = 1ms;
  proxy.config.routes[0].retry.max_backoff = 1ms;
  proxy.answer_with(slow(1ms, an_answer(502)));
  proxy.start();
  Client client(proxy, asking(proxy, proxy.safe("a")));
  for (int i = 0; i < 1'000; ++i) proxy->advance(3ms);
  REQUIRE(watched(proxy) == 1);
  proxy->advance(61s);
  CHECK(watched(proxy) == 0);
  CHECK(client.ended());
}

TEST_CASE("a stream of a job that is not there is a problem") {
  ProxyFixture proxy;
  proxy.start();
  JobId id = proxy.unsafe("a");
  id.random[0] ^= 1;
  CHECK(Client(proxy, asking(proxy, id)).hear().starts_with("HTTP/1.1 404 "));
}
