#include "proxy/operations_server.hpp"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "proxy/admin_client.hpp"
#include "proxy/listening.hpp"
#include "tests/support/sockets.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace raincheck;
using namespace raincheck::proxy;

namespace {

void nothing(const OperationRequest&, const OperationReply&) {}

const std::vector<Operation> table = {
    {"GET", "/jobs", nothing},
    {"GET", "/jobs/{}", nothing},
    {"POST", "/jobs/{}/cancel", nothing},
    {"DELETE", "/jobs/{}", nothing},
};

TEST_CASE("an operation is found by method and path") {
  const FoundOperation all = find_operation(table, "GET", "/jobs?state=failed&route=a%20b+c&x");
  CHECK(all.operation == &table[0]);
  CHECK(all.request.path == "/jobs");
  CHECK(*all.request.parameter("state") == "failed");
  CHECK(*all.request.parameter("route") == "a b c");
  CHECK(all.request.parameter("x")->empty());
  CHECK(all.request.parameter("y") == nullptr);

  const FoundOperation one = find_operation(table, "POST", "/jobs/a%2Fb/cancel");
  CHECK(one.operation == &table[2]);
  CHECK(one.request.arguments == std::vector<std::string>{"a/b"});
  CHECK(find_operation(table, "HEAD", "/jobs/1").operation == &table[1]);
}

TEST_CASE("what changes something refuses parameters that it does not know") {
  std::vector<Operation> operations = {{"POST", "/reload", nothing, {"dry_run"}},
                                       {"POST", "/drain", nothing}};
  CHECK(find_operation(operations, "POST", "/reload").operation);
  CHECK(find_operation(operations, "POST", "/reload?").operation);
  CHECK(find_operation(operations, "POST", "/reload?dry_run").operation);
  CHECK(find_operation(operations, "POST", "/reload?dry_run=").operation);
  for (const char* target : {"/reload?dry-run", "/reload?dry_run&x", "/reload?dry_run=false",
                             "/reload?dry_run=true", "/drain?dry_run"}) {
    CAPTURE(target);
    const FoundOperation found = find_operation(operations, "POST", target);
    CHECK(found.operation == nullptr);
    CHECK(found.refusal.status == 400);
  }
}

TEST_CASE("what there is no operation for is refused") {
  for (const char* target :
       {"/", "", "*", "/job", "/jobs/", "/jobs/1/", "/jobs/1/cancel/2", "//jobs"}) {
    CAPTURE(target);
    const FoundOperation found = find_operation(table, "GET", target);
    CHECK(found.operation == nullptr);
    CHECK(found.refusal.status == 404);
  }
  const FoundOperation found = find_operation(table, "PUT", "/jobs/1");
  CHECK(found.operation == nullptr);
  CHECK(found.refusal.status == 405);
  CHECK(found.allow == "GET, HEAD, DELETE");
  CHECK(find_operation(table, "HEAD", "/jobs/1/cancel").refusal.status == 405);
}

// A server on a unix socket, with a thread to run it.
class Running {
 public:
  explicit Running(std::vector<Operation> operations, OperationsOptions options = {})
      : server_(std::make_unique<OperationsServer>(
            io_, listen_on_admin_socket(path()), std::move(operations), options)),
        thread_([this] { io_.run(); }) {}
  ~Running() {
    io_.stop();
    thread_.join();
  }
  std::string path() const { return directory_ / "admin.sock"; }
  AdminAnswer ask(const std::string& method, const std::string& target, std::string body = "") {
    AdminQuestion question;
    question.method = method;
    question.target = target;
    question.body = std::move(body);
    return ask_admin(path(), question);
  }

 private:
  test::TemporaryDirectory directory_;
  boost::asio::io_context io_{1};
  std::unique_ptr<OperationsServer> server_;
  std::thread thread_;
};

// A connection to a server, byte by byte.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  void send(const std::string& bytes) {
    REQUIRE(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  // All that comes until the server closes.
  std::string rest() {
    std::string all;
    char piece[1024];
    for (;;) {
      const ssize_t got = ::recv(socket_.get(), piece, sizeof piece, 0);
      if (got <= 0) return all;
      all.append(piece, static_cast<std::size_t>(got));
    }
  }

 private:
  Descriptor socket_;
};

TEST_CASE("a question is answered, and who asks is known") {
  std::optional<Peer> peer;
  Running server({{"POST", "/echo/{}",
                   [&](OperationRequest request, const OperationReply& reply) {
                     peer = request.peer;
                     reply(text_answer(request.arguments[0] + request.body, 202));
                   }}},
                 {.audits = false, .body_max = 4});
  const AdminAnswer answer = server.ask("POST", "/echo/a", "body");
  CHECK(answer.status == 202);
  CHECK(answer.content_type == "text/plain; charset=utf-8");
  CHECK(answer.body == "abody");
  REQUIRE(peer);
  CHECK(peer->uid == ::getuid());
  CHECK(peer->pid == ::getpid());

  const AdminAnswer longer = server.ask("POST", "/echo/a", "5body");
  CHECK(longer.status == 413);
  CHECK(longer.content_type == "application/problem+json");
  CHECK(refusal_text(longer) == "the body is too long");
}

TEST_CASE("a client that sends on what was refused gets its answer all the same") {
  Running server({{"POST", "/echo", nothing}}, {.audits = false, .body_max = 4});
  RawClient client(server.path());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  CHECK(client.rest().starts_with("HTTP/1.1 413 "));
  client.send("5body");
}

TEST_CASE("an answer may come later and from another thread, and one that is dropped is an error") {
  std::thread other;
  Running server({{"GET", "/later",
                   [&](const OperationRequest&, const OperationReply& reply) {
                     other = std::thread([reply] { reply(json_answer("{}")); });
                   }},
                  {"GET", "/never", nothing}});
  CHECK(server.ask("GET", "/later").body == "{}");
  other.join();
  CHECK(server.ask("GET", "/never").status == 500);
}

TEST_CASE("what changes something leaves a line in the log: who, what, and what came of it") {
  std::ostringstream lines;
  auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines));
  logger->set_level(spdlog::level::err);
  logger->set_pattern("%v");
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(logger);
  {
    Running server(
        {{"POST",
          "/jobs/{}/cancel",
          [](const OperationRequest&, const OperationReply& reply) {
            reply(problem_answer(409, "it has ended"));
          },
          {"why"}},
         {"GET", "/jobs",
          [](const OperationRequest&, const OperationReply& reply) { reply(json_answer("[]")); }}},
        {.audits = true});
    server.ask("GET", "/jobs");
    server.ask("POST", "/jobs");
    server.ask("POST", "/jobs/a1/cancel?why");
  }
  spdlog::set_default_logger(before);
  const std::string who = " (uid " + std::to_string(::getuid()) + "), pid " +
                          std::to_string(::getpid()) +
                          ": POST /jobs/a1/cancel?why: 409 it has ended\n";
  CHECK(lines.str().starts_with("admin: user "));
  CHECK(lines.str().ends_with(who));
  CHECK(lines.str().find('\n') == lines.str().size() - 1);
}

TEST_CASE("HEAD has no body, and a connection is kept") {
  Running server({{"GET", "/", [](const OperationRequest&, const OperationReply& reply) {
                     reply(text_answer("hello"));
                   }}});
  RawClient client(server.path());
  client.send("HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string all = client.rest();
  CHECK(all.find("Content-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n") != std::string::npos);
  CHECK(all.find("\r\n\r\nhello") == all.size() - 9);
}

TEST_CASE("what is no HTTP, or too much of it, is refused and the connection ends") {
  Running server({{"GET", "/", nothing}});
  for (const auto& [sent, status] : std::vector<std::pair<std::string, std::string>>{
           {"what is this\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n", "431"}}) {
    RawClient client(server.path());
    client.send(sent);
    CHECK(client.rest().substr(0, 12) == "HTTP/1.1 " + status);
  }
}

TEST_CASE("when there are too many connections the one that has been idle longest gives way") {
  Running server(
      {{"GET", "/",
        [](const OperationRequest&, const OperationReply& reply) { reply(text_answer("hello")); }}},
      {.audits = false, .body_max = 0, .connections_max = 2});
  RawClient first(server.path());
  RawClient second(server.path());
  RawClient third(server.path());
  CHECK(first.rest().empty());
  third.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(third.rest().find("hello") != std::string::npos);
  second.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(second.rest().find("hello") != std::string::npos);
}

TEST_CASE("the admin socket belongs to its owner and group, and replaces only a dead one") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "admin.sock";
  {
    const ListeningSocket socket = listen_on_admin_socket(path);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
    CHECK_THROWS_WITH(listen_on_admin_socket(path),
                      ("unix:" + path + ": another process listens there").c_str());
  }
  CHECK_NOTHROW(listen_on_admin_socket(path));
  const std::string file = directory / "file";
  std::ofstream(file) << "precious";
  CHECK_THROWS_WITH(listen_on_admin_socket(file),
                    ("unix:" + file + ": there is a file of another kind").c_str());
  CHECK(std::ifstream(file).peek() == 'p');
}

TEST_CASE("who cannot reach the program is told why") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "admin.sock";
  const std::string not_running =
      path + ": raincheck is not running, or its configuration has another admin.socket";
  CHECK_THROWS_WITH(ask_admin(path, {}), not_running.c_str());
  test::leave_socket(path);
  CHECK_THROWS_WITH(ask_admin(path, {}), not_running.c_str());
  CHECK_THROWS_WITH(ask_admin(std::string(200, 'x'), {}),
                    ("'" + std::string(200, 'x') + "' cannot be a unix socket").c_str());
  CHECK_THROWS_AS(ask_monitoring("unix:" + path, {}), AdminUnreachable);
  CHECK_THROWS_AS(ask_monitoring("nonsense", {}), AdminUnreachable);
  const ListeningSocket silent = listen_on_admin_socket(path);
  AdminQuestion question;
  question.target = "/";
  question.timeout = std::chrono::seconds(0);
  CHECK_THROWS_WITH(ask_admin(path, question), (path + ": no answer in time").c_str());
}

}  // namespace
