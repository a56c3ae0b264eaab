#include "proxy/relay.hpp"

namespace raincheck::proxy {

awaitable<void> relay(Transaction& transaction, UpstreamConnection& upstream, RouteCall* routed) {
  const ResponseHead& head = upstream.head();
  std::string fields;
  append_response_fields(fields, head);
  if (routed) {
    routed->change_answer(fields, routes::UrlMap::concerns(head.fields), routes::Found::in_place);
  }
  fields.append(transaction.more_fields);
  const std::string& request_id_name = transaction.services().site.config().request_id.header;
  if (!head.fields.find(request_id_name)) {
    fields.append(request_id_name).append(": ").append(transaction.request_id()).append("\r\n");
  }
  const bool bodiless = head.framing == Framing::none;
  auto length = Transaction::Length::chunked;
  std::uint64_t size = 0;
  if (head.framing == Framing::length) {
    length = Transaction::Length::known;
    size = head.content_length;
  } else if (bodiless) {
    // The answer to HEAD keeps the length that it tells; 204 and 304 have none.
    length = Transaction::Length::none;
    const auto told = head.fields.find("Content-Length");
    if (transaction.head().method == "HEAD" && told) {
      fields.append("Content-Length: ").append(*told).append("\r\n");
    }
  }
  const std::string reason(head.reason);
  transaction.begin_response(head.status, reason, fields, length, size);
  Io io = Io::ok;
  if (!bodiless && !upstream.has_body_at_hand()) io = co_await transaction.flush();
  while (io == Io::ok && !bodiless) {
    const jobs::Result<std::string_view> piece = co_await upstream.read_body();
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

void log_call(Transaction& transaction,
              const config::Upstream& upstream,
              const SiteRoute* route,
              TimePoint began,
              const CallEnd& end) {
  Services& services = transaction.services();
  if (!services.log.enabled()) return;
  AttemptLine line;
  line.has_job = false;
  line.duration = std::chrono::duration_cast<jobs::milliseconds>(services.timers().now() - began);
  line.time = services.timers().wall_now() - line.duration;
  line.request_id = transaction.request_id();
  if (route) line.route = route->config->name;
  line.upstream = upstream.name;
  if (end.connection) line.server = end.connection->server().authority;
  if (end.connection && end.connection->head_read()) line.status = end.connection->head().status;
  line.bytes_in = transaction.bytes_out();
  line.bytes_out = transaction.body_bytes();
  line.reason = end.client_gone ? "client_closed" : "ok";
  // error() gives a copy: it has to live as long as the line.
  const jobs::Error error = end.done ? jobs::Error() : end.done.error();
  if (!end.done && !end.client_gone) {
    line.reason = jobs::fault_name(error.fault);
    line.error = error.detail;
  }
  services.log.attempt(line);
}

}  // namespace raincheck::proxy
