// The response side of a Transaction.
#include <fmt/format.h>

#include "jobs/document.hpp"
#include "proxy/transaction.hpp"

namespace raincheck::proxy {

namespace {

struct Phrase {
  int status;
  std::string_view text;
};

constexpr Phrase phrases[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {508, "Loop Detected"},
};

}  // namespace

std::string_view reason_phrase(int status) {
  for (const Phrase& phrase : phrases) {
    if (phrase.status == status) return phrase.text;
  }
  return "";
}

namespace {

// No body follows such an answer, whatever its fields say (RFC 9112 section 6.3).
bool is_bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace

std::string Transaction::response_head(int status,
                                       std::string_view reason,
                                       std::string_view fields,
                                       Length length,
                                       std::uint64_t size) {
  // A client that is told so sends again what it sent after this request: none of it may be served.
  if (client_->last || services_.draining || !body_done_) keep_alive_ = false;
  std::string out;
  out.reserve(fields.size() + 256);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status,
                 reason.empty() ? reason_phrase(status) : reason);
  out.append(fields);
  if (length == Length::known && !is_bodiless(status)) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", size);
  } else if (length == Length::chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  const bool old_client = parser_.head().minor_version == 0;
  if (!keep_alive_) {
    out.append("Connection: close\r\n");
  } else if (old_client) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  status_ = status;
  return out;
}

awaitable<void> Transaction::respond(int status, std::string_view fields, std::string_view body) {
  std::string own;
  own.reserve(fields.size() + 128);
  own.append("Date: ");
  jobs::append_http_date(own, services_.timers().wall_now());
  own.append("\r\n");
  if (!request_id_.empty()) {
    own.append(services_.site.config().request_id.header)
        .append(": ")
        .append(request_id_)
        .append("\r\n");
  }
  own.append(more_fields).append(fields);
  // What the client still sends is read over if it is little, so that the connection can be kept.
  if (const auto rest = body_at_hand()) body_done_ = true;
  const std::string head = response_head(status, {}, own, Length::known, body.size());
  const bool to_head = parser_.head().method == "HEAD" || is_bodiless(status);
  if (!to_head) bytes_out_ += body.size();
  const std::string_view sent_body = to_head ? std::string_view() : body;
  const Io io = co_await connection().write(head, sent_body, listener().timeouts.write);
  if (io != Io::ok) connection().abort();
}

awaitable<void> Transaction::respond(Problem problem) {
  set_reason(problem.reason ? problem.reason : problem.type);
  std::string body;
  jobs::append_problem(body, problem.type, reason_phrase(problem.status), problem.status,
                       problem.detail, problem.instance.empty() ? request_id_ : problem.instance);
  problem.fields.append("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
  co_await respond(problem.status, problem.fields, body);
}

void Transaction::begin_response(int status,
                                 std::string_view reason,
                                 std::string_view fields,
                                 Length length,
                                 std::uint64_t size) {
  if (length == Length::chunked && !speaks_chunked()) {
    length = Length::none;
    keep_alive_ = false;
  }
  chunked_response_ = length == Length::chunked;
  unsent_ = response_head(status, reason, fields, length, size);
}

awaitable<Io> Transaction::flush() {
  const std::string head = std::move(unsent_);
  unsent_.clear();
  co_return co_await connection().write(head, "", listener().timeouts.write);
}

awaitable<Io> Transaction::begin_tunnel(std::string_view fields) {
  keep_alive_ = false;
  status_ = 101;
  std::string head = "HTTP/1.1 101 Switching Protocols\r\n";
  head.append(fields).append("\r\n");
  co_return co_await connection().write(head, "", listener().timeouts.write);
}

awaitable<Io> Transaction::write_piece(std::string_view piece) {
  std::string prefix = std::move(unsent_);
  unsent_.clear();
  if (chunked_response_) {
    fmt::format_to(std::back_inserter(prefix), "{}{:x}\r\n", piece_written_ ? "\r\n" : "",
                   piece.size());
  }
  piece_written_ = true;
  bytes_out_ += piece.size();
  co_return co_await connection().write(prefix, piece, listener().timeouts.write);
}

awaitable<Io> Transaction::write_message(std::string message) {
  if (message.empty()) co_return Io::ok;
  bytes_out_ += message.size();
  std::string out = std::move(unsent_);
  unsent_.clear();
  if (chunked_response_) {
    fmt::format_to(std::back_inserter(out), "{:x}\r\n{}\r\n", message.size(), message);
  } else {
    out.append(message);
  }
  co_return co_await connection().write(out, "", listener().timeouts.write);
}

awaitable<Io> Transaction::end_response() {
  if (chunked_response_) unsent_.append(piece_written_ ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
  const Io io = co_await flush();
  if (io != Io::ok) connection().abort();
  co_return io;
}

// The client must see that it does not have everything: the connection ends without the end of the
// body.
void Transaction::cut_short() {
  keep_alive_ = false;
  connection().close();
}

}  // namespace raincheck::proxy
