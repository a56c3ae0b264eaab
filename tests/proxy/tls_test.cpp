// Two connections, one to each end of a pair of sockets, that speak TLS with each other.
#include "proxy/tls.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <map>

#include "proxy/connection.hpp"
#include "proxy/tls_contexts.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/manual_clock.hpp"

using namespace raincheck::proxy;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace config = raincheck::config;
using raincheck::test::make_certificate;
using raincheck::test::ManualClock;

namespace {

// A listener and an upstream, with files in memory.
struct Settings {
  Settings() {
    const auto pair = make_certificate("backend.example", "DNS:backend.example");
    files = {{"/cert", pair.certificate}, {"/key", pair.key}};
    config::Certificate certificate;
    certificate.cert_file.path = "/cert";
    certificate.key_file.path = "/key";
    config.listeners.front().tls.certificates.push_back(certificate);
    config::Upstream& upstream = config.upstreams.emplace_back();
    upstream.name = "u";
    upstream.tls.ca_file.path = "/cert";
    config::Server& server = upstream.servers.emplace_back();
    server.is_tls = true;
    server.host = "backend.example";
  }

  TlsContexts build(
      raincheck::jobs::WallTime now = std::chrono::time_point_cast<raincheck::jobs::milliseconds>(
          std::chrono::system_clock::now())) const {
    const auto read = [this](const std::string& path) -> std::optional<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return std::nullopt;
      return found->second;
    };
    return TlsContexts(config, read, now);
  }

  std::map<std::string, std::string> files;
  config::Config config;
};

awaitable<void> shake(Connection& connection, TimePoint deadline, Io& io) {
  io = co_await connection.shake_hands(deadline);
}

awaitable<void> end(Connection& connection) {
  co_await connection.shutdown_send(never);
}

struct Fixture {
  explicit Fixture(const Settings& settings = Settings()) : contexts(settings.build()) {
    for (const TlsProblem& problem : contexts.problems()) REQUIRE(problem.is_warning);
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    server = std::make_unique<Connection>(Descriptor(ends[0]), timers, readiness);
    client = std::make_unique<Connection>(Descriptor(ends[1]), timers, readiness);
    server->begin_tls(contexts.of_listener(0)->accept());
    client->begin_tls(
        contexts.of_upstream(0)->connect(settings.config.upstreams[0].servers[0], nullptr));
  }

  void start(awaitable<void> task) {
    raincheck::store::spawn(io, std::move(task), [](const std::exception_ptr&) {});
    run();
  }
  void run() {
    for (int i = 0; i < 20; ++i) {
      io.restart();
      io.poll();
    }
  }
  void shake_hands() {
    start(shake(*server, never, server_io));
    start(shake(*client, never, client_io));
  }
  std::string read(Connection& connection) {
    std::array<char, 65'536> room{};
    std::string got;
    while (true) {
      last = connection.try_read(room);
      if (last.size == 0) return got;
      got.append(room.data(), last.size);
    }
  }

  asio::io_context io{1};
  ManualClock clock;
  Timers timers{clock};
  Readiness readiness{io};
  TlsContexts contexts;
  std::unique_ptr<Connection> server;
  std::unique_ptr<Connection> client;
  Io server_io = Io::timeout;
  Io client_io = Io::timeout;
  Transfer last;
};

}  // namespace

TEST_CASE("after a handshake both sides read what the other wrote") {
  Fixture test;
  test.shake_hands();
  REQUIRE(test.server_io == Io::ok);
  REQUIRE(test.client_io == Io::ok);
  CHECK(test.client->tls()->version() == "TLSv1.3");
  // The tickets that came are nothing that the backend has said.
  CHECK(test.client->is_quiet());
  CHECK(test.client->is_there());
  CHECK(test.client->try_write(Parts("GET / ", "", "HTTP/1.1")).size == 14);
  test.run();
  CHECK_FALSE(test.server->is_quiet());
  CHECK(test.server->is_there());
  CHECK(test.read(*test.server) == "GET / HTTP/1.1");
  CHECK(test.server->is_quiet());
  CHECK(test.client->tls()->session());
}

TEST_CASE("an end that is said is an end, and another is a failure") {
  Fixture test;
  test.shake_hands();
  CHECK(test.server->try_write(Parts("last")).size == 4);
  SUBCASE("said") {
    test.start(end(*test.server));
    CHECK(test.read(*test.client) == "last");
    CHECK(test.last.io == Io::end);
    CHECK_FALSE(test.client->is_quiet());
    CHECK_FALSE(test.client->is_there());
    CHECK(test.client->tls()->why().empty());
    // Ours goes on.
    CHECK(test.client->try_write(Parts("more")).size == 4);
    CHECK(test.read(*test.server) == "more");
  }
  SUBCASE("at once") {
    test.server->close_notify();
    test.server->close();
    CHECK(test.read(*test.client) == "last");
    CHECK(test.last.io == Io::end);
  }
  SUBCASE("not said") {
    test.server->close();
    CHECK(test.read(*test.client) == "last");
    CHECK(test.last.io == Io::reset);
    CHECK(test.client->tls()->why() == "the TLS stream was cut off, without close_notify");
    CHECK_FALSE(test.client->is_there());
    CHECK(test.client->try_read(std::span<char>()).io == Io::reset);
  }
}

TEST_CASE("what the socket does not take is written when it does, whole and once") {
  Fixture test;
  test.shake_hands();
  std::string text;
  while (text.size() < 4'000'000) text += std::to_string(text.size()) + " ";
  std::string_view rest = text;
  std::string got;
  while (!rest.empty()) {
    const Transfer transfer = test.client->try_write(Parts(rest.substr(0, 20'000)));
    REQUIRE(transfer.io == Io::ok);
    rest.remove_prefix(transfer.size);
    if (transfer.size == 0) got += test.read(*test.server);
  }
  got += test.read(*test.server);
  CHECK((got == text));
}

TEST_CASE("a handshake has a deadline") {
  Fixture test;
  test.start(shake(*test.server, test.clock.now() + 1s, test.server_io));
  test.server_io = Io::ok;
  test.clock.advance(1s);
  test.timers.sweep();
  test.run();
  CHECK(test.server_io == Io::timeout);
}

TEST_CASE("a server is believed only with a certificate that is its own, known and valid") {
  Settings settings;
  std::string why;
  SUBCASE("another name") {
    settings.config.upstreams[0].servers[0].host = "other.example";
    why = "its certificate is not for this name";
  }
  SUBCASE("an address") {
    settings.config.upstreams[0].servers[0].host = "127.0.0.1";
    why = "its certificate is not for this name";
  }
  SUBCASE("the name that is set") {
    settings.config.upstreams[0].servers[0].host = "10.0.0.1";
    settings.config.upstreams[0].tls.server_name = "backend.example";
  }
  SUBCASE("not known") {
    settings.files["/other"] = make_certificate("backend.example").certificate;
    settings.config.upstreams[0].tls.ca_file.path = "/other";
    why = "its certificate is of no known CA: self-signed certificate";
  }
  SUBCASE("not asked") {
    settings.config.upstreams[0].servers[0].host = "other.example";
    settings.config.upstreams[0].tls.verify = false;
  }
  Fixture test(settings);
  test.shake_hands();
  CHECK(test.client->tls()->why() == why);
  CHECK((test.client_io == Io::ok) == why.empty());
}

TEST_CASE("a listener knows why it does not let a client in") {
  Settings settings;
  const auto trusted = make_certificate("ada");
  config::ListenerTls& listener = settings.config.listeners.front().tls;
  listener.client_auth = config::ClientAuth::require;
  listener.client_ca_file.path = "/clients";
  settings.files["/clients"] = trusted.certificate;
  const auto show = [&settings](const raincheck::test::PemPair& pair) {
    settings.config.upstreams[0].tls.cert_file.path = "/own";
    settings.config.upstreams[0].tls.key_file.path = "/own.key";
    settings.files["/own"] = pair.certificate;
    settings.files["/own.key"] = pair.key;
  };
  auto failure = HandshakeFailure::other;
  std::string why;
  SUBCASE("it shows no certificate") {
    failure = HandshakeFailure::client_certificate_missing;
    why = "it has shown no certificate";
  }
  SUBCASE("its certificate has expired") {
    const auto expired = make_certificate("ada", "", -3600);
    settings.files["/clients"] = expired.certificate;
    show(expired);
    failure = HandshakeFailure::client_certificate_expired;
    why = "its certificate has expired";
  }
  SUBCASE("its certificate is of no known CA") {
    show(make_certificate("eve"));
    failure = HandshakeFailure::client_certificate_unknown;
    why = "its certificate is of no known CA: self-signed certificate";
  }
  SUBCASE("it does not believe the listener") {
    show(trusted);
    settings.files["/other"] = make_certificate("backend.example").certificate;
    settings.config.upstreams[0].tls.ca_file.path = "/other";
    failure = HandshakeFailure::server_certificate_refused;
    why = "TLS failed: tlsv1 alert unknown ca";
  }
  Fixture test(settings);
  test.shake_hands();
  REQUIRE(test.server_io == Io::reset);
  CHECK(test.server->tls()->failure() == failure);
  CHECK(test.server->tls()->why() == why);
}

TEST_CASE("a configuration's mistakes with certificates are all told") {
  Settings settings;
  const auto now =
      std::chrono::time_point_cast<raincheck::jobs::milliseconds>(std::chrono::system_clock::now());
  const auto told = [&settings](raincheck::jobs::WallTime at) {
    std::string all;
    const TlsContexts contexts = settings.build(at);
    for (const TlsProblem& problem : contexts.problems()) {
      all += (problem.is_warning ? "warning: " : "") + problem.path + ": " +
             problem.message.substr(0, problem.message.find(": ")) + "\n";
    }
    return all;
  };
  const std::string path = "listeners[0].tls.certificates[0].";
  const auto pair = make_certificate("backend.example", "DNS:backend.example", 3600);
  settings.files = {{"/cert", pair.certificate}, {"/key", pair.key}};
  SUBCASE("soon over") {
    CHECK(told(now) == "warning: " + path + "cert_file: '/cert' expires soon\n");
    CHECK(settings.build().expiries().size() == 1);
    CHECK(settings.build().expiries()[0].name == "/cert");
  }
  SUBCASE("over") {
    CHECK(told(now + 2h) == "warning: " + path + "cert_file: '/cert' has expired\n");
  }
  SUBCASE("everything") {
    settings.files["/key"] = make_certificate("a").key;
    settings.config.upstreams[0].tls.ca_file.path = "/ca";
    CHECK(told(now) == path +
                           "key_file: the key in '/key' is not that of the certificate in "
                           "'/cert'\nupstreams.u.tls.ca_file: cannot read '/ca'\n");
  }
}
