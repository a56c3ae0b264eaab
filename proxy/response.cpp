// The response side of a Transaction.
#include <fmt/format.h>

#include "jobs/document.hpp"
#include "jobs/text.hpp"
#include "proxy/documents.hpp"
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
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
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

void Transaction::begin_fields(int status, std::string_view reason) {
  status_ = status;
  unsent_ = "HTTP/1.1 ";
  jobs::append_number(unsent_, static_cast<std::uint64_t>(status));
  unsent_.append(" ").append(reason.empty() ? reason_phrase(status) : reason).append("\r\n");
}

void Transaction::end_fields(int status, Length length, std::uint64_t size) {
  // A client that is told so sends again what it sent after this request: none of it may be served.
  if (client_->last || services_.draining || !body_done_) keep_alive_ = false;
  if (length == Length::known && !is_bodiless(status)) {
    unsent_.append("Content-Length: ");
    jobs::append_number(unsent_, size);
    unsent_.append("\r\n");
  } else if (length == Length::chunked) {
    unsent_.append("Transfer-Encoding: chunked\r\n");
  }
  const bool old_client = parser_.head().minor_version == 0;
  if (!keep_alive_) {
    unsent_.append("Connection: close\r\n");
  } else if (old_client) {
    unsent_.append("Connection: keep-alive\r\n");
  }
  unsent_.append("\r\n");
}

void Transaction::respond(int status, std::string_view fields, std::string_view body) {
  begin_fields(status, {});
  unsent_.append("Date: ").append(services_.date.at(services_.timers().wall_now())).append("\r\n");
  if (!request_id_.empty()) {
    unsent_.append(services_.site.config().request_id.header)
        .append(": ")
        .append(request_id_)
        .append("\r\n");
  }
  unsent_.append(more_fields).append(fields);
  if (cors_) cors_->append_answer(head().fields, unsent_);
  // What the client still sends is read over if it is little, so that the connection can be kept.
  if (body_at_hand()) body_done_ = true;
  end_fields(status, Length::known, body.size());
  if (parser_.head().method == "HEAD" || is_bodiless(status)) return;
  bytes_out_ += body.size();
  unsent_.append(body);
}

void Transaction::respond(const Problem& problem) {
  set_reason(problem.reason ? problem.reason : problem.type);
  if (documents_of_) {
    if (const auto shown = show_problem(*this, *documents_of_, problem)) {
      std::string fields = problem.fields;
      fields.append("Content-Type: ").append(shown->content_type);
      fields.append("\r\nCache-Control: no-store\r\n");
      respond(problem.status, fields, shown->body);
      return;
    }
  }
  std::string body;
  jobs::append_problem(body, problem.type, reason_phrase(problem.status), problem.status,
                       problem.detail, problem.instance.empty() ? request_id_ : problem.instance,
                       problem.errors);
  std::string fields = problem.fields;
  fields.append("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
  respond(problem.status, fields, body);
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
  streams_ = true;
  chunked_response_ = length == Length::chunked;
  begin_fields(status, reason);
  if (cors_) {
    std::string changed(fields);
    routes::Cors::erase_from(changed);
    cors_->append_answer(head().fields, changed);
    unsent_.append(changed);
  } else {
    unsent_.append(fields);
  }
  end_fields(status, length, size);
}

// All of it has to be read in time, at the pace that a body must have.
awaitable<Io> Transaction::write(Parts parts) {
  const TimePoint began = services_.timers().now();
  const TimePoint limit = answer_pace_.deadline(began, bytes_out_);
  const Io io = co_await connection().write(parts, listener().timeouts.write, limit);
  answer_pace_.add(services_.timers().now() - began);
  co_return io;
}

awaitable<Io> Transaction::flush() {
  const Io io = co_await write(Parts(unsent_));
  unsent_.clear();
  co_return io;
}

awaitable<Io> Transaction::begin_tunnel(std::string_view fields) {
  keep_alive_ = false;
  status_ = 101;
  std::string head = "HTTP/1.1 101 Switching Protocols\r\n";
  head.append(fields).append("\r\n");
  co_return co_await connection().write(Parts(head), listener().timeouts.write);
}

awaitable<Io> Transaction::write_piece(std::string_view piece) {
  if (piece.empty()) co_return Io::ok;  // an empty chunk would be the last
  if (chunked_response_) fmt::format_to(std::back_inserter(unsent_), "{:x}\r\n", piece.size());
  const std::string_view end = chunked_response_ ? "\r\n" : "";
  bytes_out_ += piece.size();
  const Io io = co_await write(Parts(unsent_, piece, end));
  unsent_.clear();
  co_return io;
}

void Transaction::end_response() {
  if (chunked_response_) unsent_.append("0\r\n\r\n");
}

// The client must see that it does not have everything: the connection ends without the end of the
// body.
void Transaction::cut_short() {
  keep_alive_ = false;
  unsent_.clear();
  connection().close();
}

}  // namespace raincheck::proxy
