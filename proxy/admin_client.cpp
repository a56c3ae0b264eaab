#include "proxy/admin_client.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "config/text.hpp"
#include "routes/json.hpp"

namespace raincheck::proxy {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using error_code = boost::system::error_code;
using Protocol = asio::generic::stream_protocol;

namespace {

constexpr std::uint64_t answer_max = 64 * 1024 * 1024;

std::string group_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "its group";
  const group* const entry = ::getgrgid(status.st_gid);
  return entry ? fmt::format("group '{}'", entry->gr_name) : fmt::format("group {}", status.st_gid);
}

std::string why_not_connected(const std::string& path, error_code error) {
  if (error == asio::error::access_denied) {
    return fmt::format("{}: permission denied: only members of {} may, and root", path,
                       group_of(path));
  }
  if (error == asio::error::connection_refused || error.value() == ENOENT) {
    return fmt::format(
        "{}: raincheck is not running, or its configuration has another admin.socket", path);
  }
  return path + ": " + error.message();
}

// The steps of one exchange, each begun by the one before.
class AdminExchange {
 public:
  AdminExchange(const Protocol::endpoint& to, const AdminQuestion& question) : socket_(io_) {
    request_.method_string({question.method.data(), question.method.size()});
    request_.target({question.target.data(), question.target.size()});
    request_.set(http::field::host, "localhost");
    request_.set(http::field::user_agent, "raincheck/" RAINCHECK_VERSION);
    if (!question.body.empty()) request_.set(http::field::content_type, question.content_type);
    request_.body() = question.body;
    request_.prepare_payload();
    request_.keep_alive(false);
    parser_.body_limit(answer_max);
    if (question.method == "HEAD") parser_.skip(true);
    socket_.async_connect(to, [this](error_code error) { connected(error); });
    if (io_.run_for(question.timeout) == 0 || !is_over_) error_ = asio::error::timed_out;
    error_code ignored;
    socket_.close(ignored);
  }

  bool is_connected() const { return is_connected_; }
  error_code error() const { return error_; }
  AdminAnswer answer() {
    const auto& message = parser_.get();
    const auto type = message[http::field::content_type];
    return {static_cast<int>(message.result_int()), std::string(type.data(), type.size()),
            std::move(parser_.get().body())};
  }

 private:
  void connected(error_code error) {
    if (error) return end(error);
    is_connected_ = true;
    http::async_write(socket_, request_, [this](error_code failed, std::size_t) {
      if (failed) return end(failed);
      http::async_read(socket_, buffer_, parser_,
                       [this](error_code last, std::size_t) { end(last); });
    });
  }
  void end(error_code error) {
    error_ = error;
    is_over_ = true;
  }

  asio::io_context io_{1};
  Protocol::socket socket_;
  http::request<http::string_body> request_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  error_code error_;
  bool is_connected_ = false;
  bool is_over_ = false;
};

std::string why_unanswered(const std::string& at, const AdminExchange& exchange) {
  if (exchange.error() == asio::error::timed_out) return at + ": no answer in time";
  return at + ": no answer: " + exchange.error().message();
}

bool is_path_good(const std::string& path) {
  return !path.empty() && path.size() < sizeof(sockaddr_un::sun_path);
}

// Whoever listens on every address can be asked on this one.
std::string reachable_host(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

}  // namespace

AdminAnswer ask_admin(const std::string& socket, const AdminQuestion& question) {
  if (!is_path_good(socket)) throw AdminUnreachable("'" + socket + "' cannot be a unix socket");
  AdminExchange exchange(asio::local::stream_protocol::endpoint(socket), question);
  if (!exchange.error()) return exchange.answer();
  const bool is_refused = !exchange.is_connected();
  throw AdminUnreachable(is_refused && exchange.error() != asio::error::timed_out
                             ? why_not_connected(socket, exchange.error())
                             : why_unanswered(socket, exchange));
}

AdminAnswer ask_monitoring(const std::string& address, const AdminQuestion& question) {
  const auto listening = config::parse_listen_address(address);
  if (!listening) throw AdminUnreachable(address + ": " + listening.why());
  if (!listening->socket_path.empty() && !is_path_good(listening->socket_path)) {
    throw AdminUnreachable("'" + address + "' cannot be a unix socket");
  }
  Protocol::endpoint to;
  if (listening->socket_path.empty()) {
    const auto host = asio::ip::make_address(reachable_host(listening->host));
    to = asio::ip::tcp::endpoint(host, listening->port);
  } else {
    to = asio::local::stream_protocol::endpoint(listening->socket_path);
  }
  AdminExchange exchange(to, question);
  if (exchange.error()) throw AdminUnreachable(why_unanswered(address, exchange));
  return exchange.answer();
}

std::string refusal_text(const AdminAnswer& answer) {
  const routes::ParsedJson document = routes::parse_json(answer.body);
  if (!document || document.value->kind != routes::Json::Kind::object) return answer.body;
  const routes::Json* const detail = document.value->find("detail");
  return detail ? detail->text : answer.body;
}

}  // namespace raincheck::proxy
