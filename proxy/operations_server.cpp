#include "proxy/operations_server.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <list>

#include "jobs/json_object.hpp"
#include "proxy/transaction.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using error_code = boost::system::error_code;

namespace {

// For a whole request, idling before it included; who collects metrics comes every minute or so.
constexpr std::chrono::seconds request_time{90};
constexpr std::chrono::seconds answer_time{10};
// For a client that sends on what is refused: closing at once would take its answer away.
constexpr std::chrono::seconds linger_time{2};
constexpr std::size_t linger_piece = 4 * 1024;
constexpr std::chrono::milliseconds accept_again{100};

std::string decoded(std::string_view text, routes::Plus plus) {
  std::string out;
  routes::append_decoded(out, text, plus);
  return out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> query;
  for (const std::string_view part : split(text, '&')) {
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string_view value = equals == part.npos ? "" : part.substr(equals + 1);
    query.emplace_back(decoded(part.substr(0, equals), routes::Plus::space),
                       decoded(value, routes::Plus::space));
  }
  return query;
}

// What stands for each {} of the pattern; nothing if it is for another path.
std::optional<std::vector<std::string>> match_path(std::string_view pattern,
                                                   std::string_view path) {
  const auto wanted = split(pattern, '/');
  const auto given = split(path, '/');
  if (wanted.size() != given.size()) return std::nullopt;
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::string segment = decoded(given[i], routes::Plus::itself);
    const bool is_any = wanted[i] == "{}" && !segment.empty();
    if (!is_any && wanted[i] != segment) return std::nullopt;
    if (is_any) arguments.push_back(std::move(segment));
  }
  return arguments;
}

// Null for one that is not over a unix socket.
std::optional<Peer> peer_of(int file) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(file, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  if (credentials.uid == static_cast<uid_t>(-1)) return std::nullopt;
  return Peer{credentials.uid, credentials.gid, credentials.pid};
}

std::string user_name(uid_t uid) {
  std::string buffer(4096, '\0');
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found ? found->pw_name : "?";
}

// Who, what, and what came of it. It is written whatever the level of the log.
void audit(const OperationRequest& request, std::string_view target, const OperationAnswer& done) {
  const Peer peer = request.peer.value_or(Peer{});
  auto log = spdlog::default_logger()->clone("audit");
  log->set_level(spdlog::level::info);
  log->info("admin: user {} (uid {}), pid {}: {} {}: {}{}{}", user_name(peer.uid), peer.uid,
            peer.pid, request.method, target, done.status, done.outcome.empty() ? "" : " ",
            done.outcome);
}

OperationAnswer refusal_of(error_code error) {
  if (error == http::error::header_limit) {
    return problem_answer(431, "the head of the request is too long");
  }
  if (error == http::error::body_limit) return problem_answer(413, "the body is too long");
  return problem_answer(400, "this is not a valid HTTP request");
}

bool is_from_peer(error_code error) {
  static const error_code any = http::make_error_code(http::error::bad_value);
  return error.category() == any.category() && error != http::error::end_of_stream &&
         error != http::error::partial_message;
}

}  // namespace

const std::string* OperationRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

OperationAnswer json_answer(std::string json, int status) {
  return {status, "application/json", std::move(json), ""};
}

OperationAnswer text_answer(std::string text, int status) {
  return {status, "text/plain; charset=utf-8", std::move(text), ""};
}

OperationAnswer problem_answer(int status, std::string_view detail) {
  OperationAnswer answer{status, "application/problem+json", "", std::string(detail)};
  {
    jobs::JsonObject problem(answer.body);
    problem.text("type", "about:blank");
    problem.text("title", reason_phrase(status));
    problem.number("status", static_cast<std::uint64_t>(status));
    problem.text("detail", detail);
  }
  return answer;
}

void OperationReply::Once::answer(OperationAnswer answer) {
  if (const Take once = std::exchange(take, nullptr)) once(std::move(answer));
}

// What is wrong with the parameters, in words.
static std::string unknown_switch(const Operation& operation, const OperationRequest& request) {
  if (operation.method == "GET") return "";
  for (const auto& [name, value] : request.query) {
    const auto& known = operation.switches;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return "there is no parameter '" + name + "' here" +
             (known.empty() ? "" : ", but '" + known.front() + "'");
    }
    if (!value.empty()) return "'" + name + "' takes no value: it is said, or left out";
  }
  return "";
}

FoundOperation find_operation(const std::vector<Operation>& operations,
                              std::string_view method,
                              std::string_view target) {
  FoundOperation found;
  const std::size_t question = target.find('?');
  found.request.method = method;
  found.request.path = target.substr(0, question);
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Operation& operation : operations) {
    auto arguments = match_path(operation.path, found.request.path);
    if (!arguments) continue;
    if (operation.method == wanted) {
      found.operation = &operation;
      found.request.arguments = std::move(*arguments);
      if (question != target.npos) found.request.query = parse_query(target.substr(question + 1));
      const std::string wrong = unknown_switch(operation, found.request);
      if (!wrong.empty()) {
        found.operation = nullptr;
        found.refusal = problem_answer(400, wrong);
      }
      return found;
    }
    found.allow.append(found.allow.empty() ? "" : ", ").append(operation.method);
    if (operation.method == "GET") found.allow.append(", HEAD");
  }
  found.refusal = found.allow.empty()
                      ? problem_answer(404, "there is no such operation")
                      : problem_answer(405, "this can be done with " + found.allow + " only");
  return found;
}

// The socket that listens, and the connections that it brought.
class OperationsServer::Listener {
 public:
  class Session;
  using Sessions = std::list<std::shared_ptr<Session>>;

  Listener(asio::io_context& on,
           ListeningSocket listening,
           std::vector<Operation> of,
           OperationsOptions with);

  void accept();
  // It waits for a request from now on.
  void rest(Sessions::iterator session) { sessions_.splice(sessions_.end(), sessions_, session); }
  void remove(Sessions::iterator session) { sessions_.erase(session); }

  asio::io_context& io;
  const std::vector<Operation> operations;
  const OperationsOptions options;

 private:
  void accepted(error_code error, Protocol::socket socket);
  bool make_room();

  asio::basic_socket_acceptor<Protocol> acceptor_;
  const SocketFile file_;
  asio::steady_timer retry_;
  Sessions sessions_;  // those that have been idle longest first
};

// One connection: a request, its answer, and so on. At any time it waits for one thing, the request
// or the reply or the answer to be written, and ends itself when that has come, never before.
class OperationsServer::Listener::Session {
 public:
  Session(Listener& of, Protocol::socket socket)
      : listener_(of),
        peer_(peer_of(socket.native_handle())),
        stream_(std::move(socket)),
        buffer_(2 * of.options.head_max) {}

  // `place`: in Listener::sessions_.
  void start(Sessions::iterator place) {
    place_ = place;
    read();
  }
  bool is_idle() const { return is_idle_; }
  // While it is idle.
  void give_way() {
    is_idle_ = false;
    error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  void read();
  void received(error_code error);
  void call();
  void answer(OperationAnswer answer, std::string_view allow = {});
  void written(error_code error);
  void linger();
  void discard();

  Listener& listener_;
  Sessions::iterator place_;
  const std::optional<Peer> peer_;
  boost::beast::basic_stream<Protocol> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  OperationRequest asked_;  // without its body; for the audit line
  bool is_change_ = false;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool is_idle_ = true;
};

void OperationsServer::Listener::Session::read() {
  is_idle_ = true;
  is_change_ = false;
  listener_.rest(place_);
  parser_.emplace();
  parser_->header_limit(listener_.options.head_max);
  parser_->body_limit(listener_.options.body_max);
  stream_.expires_after(request_time);
  http::async_read(stream_, buffer_, *parser_,
                   [this](error_code error, std::size_t) { received(error); });
}

void OperationsServer::Listener::Session::received(error_code error) {
  is_idle_ = false;
  stream_.expires_never();
  if (!error) {
    call();
  } else if (is_from_peer(error)) {
    answer(refusal_of(error));
  } else {
    listener_.remove(place_);
  }
}

void OperationsServer::Listener::Session::call() {
  const auto& request = parser_->get();
  const std::string_view method(request.method_string().data(), request.method_string().size());
  const std::string_view target(request.target().data(), request.target().size());
  FoundOperation found = find_operation(listener_.operations, method, target);
  if (!found.operation) {
    answer(std::move(found.refusal), found.allow);
    return;
  }
  is_change_ = found.operation->method != "GET";
  asked_ = found.request;
  asked_.peer = peer_;
  found.request.peer = peer_;
  found.request.body = std::move(parser_->get().body());
  const std::weak_ptr<Session> waiting = *place_;
  OperationReply reply([io = &listener_.io, waiting](OperationAnswer with) {
    auto session = waiting.lock();
    if (!session) return;
    asio::post(*io, [session = std::move(session), with = std::move(with)]() mutable {
      session->answer(std::move(with));
    });
  });
  found.operation->call(std::move(found.request), std::move(reply));
}

void OperationsServer::Listener::Session::answer(OperationAnswer with, std::string_view allow) {
  const auto& request = parser_->get();
  if (is_change_ && listener_.options.audits) {
    audit(asked_, std::string_view(request.target().data(), request.target().size()), with);
  }
  response_ = {};
  response_.version(request.version() == 10 ? 10 : 11);
  response_.result(static_cast<unsigned>(with.status));
  const std::string_view reason = reason_phrase(with.status);
  response_.reason({reason.data(), reason.size()});
  response_.set(http::field::content_type, with.content_type);
  response_.set(http::field::cache_control, "no-store");
  if (!allow.empty()) response_.set(http::field::allow, {allow.data(), allow.size()});
  response_.keep_alive(parser_->is_done() && request.keep_alive());
  response_.body() = std::move(with.body);
  response_.prepare_payload();
  serializer_.emplace(response_);
  stream_.expires_after(answer_time);
  const auto done = [this](error_code error, std::size_t) { written(error); };
  if (request.method() == http::verb::head) {
    serializer_->split(true);
    http::async_write_header(stream_, *serializer_, done);
  } else {
    http::async_write(stream_, *serializer_, done);
  }
}

void OperationsServer::Listener::Session::written(error_code error) {
  if (!error && response_.keep_alive()) {
    read();
  } else if (!error && !parser_->is_done()) {
    linger();
  } else {
    listener_.remove(place_);
  }
}

void OperationsServer::Listener::Session::linger() {
  is_idle_ = true;
  listener_.rest(place_);
  error_code ignored;
  stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
  stream_.expires_after(linger_time);
  discard();
}

void OperationsServer::Listener::Session::discard() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(linger_piece), [this](error_code error, std::size_t) {
    if (error) {
      listener_.remove(place_);
    } else {
      discard();
    }
  });
}

OperationsServer::Listener::Listener(asio::io_context& on,
                                     ListeningSocket listening,
                                     std::vector<Operation> of,
                                     OperationsOptions with)
    : io(on),
      operations(std::move(of)),
      options(with),
      acceptor_(on),
      file_(std::move(listening.file)),
      retry_(on) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(listening.socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
  acceptor_.assign(Protocol(name.ss_family, 0), listening.socket.release());
}

void OperationsServer::Listener::accept() {
  acceptor_.async_accept(
      [this](error_code error, Protocol::socket socket) { accepted(error, std::move(socket)); });
}

void OperationsServer::Listener::accepted(error_code error, Protocol::socket socket) {
  if (error) {  // out of descriptors, most likely: they come back
    retry_.expires_after(accept_again);
    retry_.async_wait([this](error_code) { accept(); });
    return;
  }
  if (make_room()) {
    const auto place =
        sessions_.emplace(sessions_.end(), std::make_shared<Session>(*this, std::move(socket)));
    (*place)->start(place);
  }
  accept();
}

bool OperationsServer::Listener::make_room() {
  if (sessions_.size() < options.connections_max) return true;
  const auto idle = std::find_if(sessions_.begin(), sessions_.end(),
                                 [](const auto& session) { return session->is_idle(); });
  if (idle == sessions_.end()) return false;
  (*idle)->give_way();
  return true;
}

OperationsServer::OperationsServer(asio::io_context& io,
                                   ListeningSocket socket,
                                   std::vector<Operation> operations,
                                   OperationsOptions options)
    : listener_(std::make_unique<Listener>(io, std::move(socket), std::move(operations), options)) {
  listener_->accept();
}

OperationsServer::~OperationsServer() = default;

}  // namespace raincheck::proxy
