// A job as a stream of server-sent events (WHATWG HTML, section 9.2): one for each change, until it
// has ended.
#include <fmt/format.h>

#include "jobs/date.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/handlers.hpp"
#include "proxy/job_view.hpp"

namespace raincheck::proxy {

using jobs::Job;
using jobs::Result;
using store::Find;

namespace {

// Well within the time after which proxies and address translators give up a silent connection.
constexpr std::chrono::seconds comment_every{15};
constexpr std::string_view comment = ":\n\n";

std::string event_of(Services& services, const Job& job, std::string_view id) {
  const JobUrls urls(services.site.config(), id);
  return fmt::format("event: {}\nid: {}\ndata: {}\n\n", jobs::name(job.state), version_of(job),
                     document_of(services, job, id, urls, estimate_of(services, job)));
}

std::string head_fields(Transaction& transaction) {
  Services& services = transaction.services();
  std::string fields = "Date: ";
  jobs::append_http_date(fields, services.timers().wall_now());
  // nginx collects what it relays, unless it is told not to.
  fields.append(
      "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: "
      "no\r\n");
  fields.append(services.site.config().request_id.header)
      .append(": ")
      .append(transaction.request_id())
      .append("\r\n");
  return fields;
}

// Writes event after event. True: the stream is at its end, false: the client has gone.
awaitable<bool> write_events(Transaction& transaction,
                             jobs::JobId id,
                             std::string_view id_text,
                             std::string last) {
  Services& services = transaction.services();
  Bulletin::Watch changes(services.bulletin, id.place.key());
  bool gone = false;
  ClientWatch watch(transaction.connection(), services.timers(), [&gone, &changes] {
    gone = true;
    changes.notify();
  });
  bool changed = false;
  while (!gone) {
    Find asked;
    asked.id = id;
    const Result<Find> found = co_await services.store().find(std::move(asked));
    // Who asks again will be told what is the matter.
    if (!found || found->presence != store::Presence::present) co_return true;
    std::string version = version_of(found->job);
    std::string text;
    if (version != last) {
      text = event_of(services, found->job, id_text);
      last = std::move(version);
    } else if (!changed) {
      text = comment;
    }
    const Io io = co_await transaction.write_piece(text);
    if (io != Io::ok) co_return false;
    if (jobs::is_final(found->job.state) || services.draining) co_return true;
    changed = co_await changes.wait(services.timers().now() + comment_every);
  }
  co_return false;
}

}  // namespace

awaitable<void> give_events(Transaction& transaction, const Job& job, std::string_view id_text) {
  std::string last(transaction.head().fields.find("Last-Event-ID").value_or(""));
  if (jobs::is_final(job.state) && last == version_of(job)) {
    // A browser asks again when the stream has ended, until it is told that there is no more.
    transaction.respond(204, "Cache-Control: no-store\r\n", "");
    co_return;
  }
  const bool head_only = transaction.head().method == "HEAD";
  const auto length = head_only ? Transaction::Length::none : Transaction::Length::chunked;
  const std::string fields = head_fields(transaction);
  transaction.begin_response(200, "", fields, length);
  bool whole = true;
  if (!head_only) whole = co_await write_events(transaction, job.id, id_text, std::move(last));
  if (whole) {
    transaction.end_response();
    co_return;
  }
  transaction.set_reason("client_closed");
  transaction.cut_short();
}

}  // namespace raincheck::proxy
