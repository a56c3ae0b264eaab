#include "proxy/relay.hpp"

#include "proxy/answer_body.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/handlers.hpp"

namespace raincheck::proxy {

namespace {

// A client that leaves ends the waiting for what has to be known first.
awaitable<jobs::Result<void>> begin(AnswerBody& body,
                                    Transaction& transaction,
                                    UpstreamConnection& upstream,
                                    bool& gone) {
  std::optional<ClientWatch> watch;
  // Else somebody reads from the client, and notices.
  if (transaction.body_done()) {
    watch.emplace(transaction.connection(), transaction.services().timers(), [&gone, &upstream] {
      gone = true;
      upstream.connection().abort();
    });
  }
  co_return co_await body.begin();
}

}  // namespace

awaitable<void> relay(Transaction& transaction, UpstreamConnection& upstream, RouteCall& routed) {
  const ResponseHead& head = upstream.head();
  std::string fields;
  append_response_fields(fields, head);
  // RFC 9110 section 6.6.1.
  if (!head.fields.find("Date")) {
    Services& services = transaction.services();
    (void)append_field(fields, "Date", services.date.at(services.timers().wall_now()));
  }
  const bool concerned = routes::UrlMap::concerns(head.fields);
  AnswerBody body(transaction.services().context, upstream, &routed,
                  transaction.head().method == "HEAD");
  const std::string& request_id_name = transaction.services().site.config().request_id.header;
  const bool names_request = head.fields.find(request_id_name).has_value();
  const bool bodiless = head.framing == Framing::none;
  // The answer to HEAD keeps the length that it tells; 204 and 304 have none.
  std::string told;
  if (bodiless && transaction.head().method == "HEAD") {
    told = head.fields.find("Content-Length").value_or("");
  }
  const int status = head.status;
  const std::string reason(head.reason);
  bool gone = false;
  const jobs::Result<void> begun = co_await begin(body, transaction, upstream, gone);
  if (!begun) {
    const jobs::Error error = begun.error();
    transaction.respond(problem_of(error));
    if (gone) {
      transaction.set_reason("client_closed");
      transaction.cut_short();
    }
    upstream.connection().abort();
    co_return;
  }
  routed.change_answer(fields, concerned, routes::Found::in_place, body.change());
  fields.append(transaction.more_fields);
  if (!names_request) {
    fields.append(request_id_name).append(": ").append(transaction.request_id()).append("\r\n");
  }
  auto length = body.size() ? Transaction::Length::known : Transaction::Length::chunked;
  if (bodiless) length = Transaction::Length::none;
  if (!told.empty()) fields.append("Content-Length: ").append(told).append("\r\n");
  transaction.begin_response(status, reason, fields, length, body.size().value_or(0));
  Io io = Io::ok;
  if (!bodiless && !body.has_at_hand()) io = co_await transaction.flush();
  while (io == Io::ok && !bodiless) {
    const jobs::Result<std::string_view> piece = co_await body.next();
    if (!piece) {
      transaction.set_reason(jobs::fault_name(piece.error().fault));
      transaction.cut_short();
      co_return;
    }
    if (piece->empty()) break;
    io = co_await transaction.write_piece(*piece);
  }
  transaction.end_response();
  if (io != Io::ok) {
    transaction.set_reason("client_closed");
    transaction.cut_short();
    upstream.connection().abort();
  }
}

namespace {

void count_call(Services& services,
                const config::Upstream& upstream,
                TimePoint began,
                const CallEnd& end) {
  const auto duration =
      std::chrono::duration_cast<jobs::milliseconds>(services.timers().now() - began);
  const bool is_answered = end.connection && end.connection->head_read();
  services.context.metrics.called(
      upstream, end.connection ? std::string_view(end.connection->server().authority) : "",
      is_answered ? end.connection->head().status : 0, duration);
}

}  // namespace

void log_call(Transaction& transaction,
              const config::Upstream& upstream,
              const SiteRoute& route,
              TimePoint began,
              const CallEnd& end) {
  Services& services = transaction.services();
  count_call(services, upstream, began, end);
  if (!services.log.enabled()) return;
  AttemptLine line;
  line.has_job = false;
  line.duration = std::chrono::duration_cast<jobs::milliseconds>(services.timers().now() - began);
  line.time = services.timers().wall_now() - line.duration;
  line.request_id = transaction.request_id();
  line.trace_id = transaction.trace_id();
  line.route = route.config->name;
  line.upstream = upstream.name;
  if (end.connection) line.server = end.connection->server().authority;
  if (end.connection && end.connection->head_read()) line.status = end.connection->head().status;
  if (!end.is_question) {
    line.bytes_in = transaction.bytes_out();
    line.bytes_out = transaction.body_bytes();
  }
  line.reason = end.client_gone ? "client_closed" : "ok";
  // error() gives a copy: it has to live as long as the line.
  const jobs::Error error = end.done ? jobs::Error() : end.done.error();
  if (!end.done && !end.client_gone) {
    line.reason = jobs::fault_name(error.fault);
    line.error = error.detail;
  }
  if (end.reason) line.reason = end.reason;
  services.log.attempt(line);
}

}  // namespace raincheck::proxy
