// What clients ask about a job: its status (now, when it changes, or at every change), its result,
// to cancel it, to erase it.
#include <fmt/format.h>

#include <algorithm>

#include "jobs/document.hpp"
#include "jobs/prefer.hpp"
#include "jobs/text.hpp"
#include "proxy/accept.hpp"
#include "proxy/byte_range.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/documents.hpp"
#include "proxy/handlers.hpp"
#include "proxy/job_changes.hpp"
#include "proxy/job_urls.hpp"
#include "proxy/job_view.hpp"
#include "proxy/submission_terms.hpp"

namespace raincheck::proxy {

using jobs::Job;
using jobs::milliseconds;
using jobs::Result;
using jobs::State;
using store::Find;
using store::Presence;

namespace {

// A long poll that does not say how long.
constexpr milliseconds wait_default{30'000};
constexpr milliseconds wait_malformed{-1};

Problem unknown_job() {
  return Problem(404, "not_found", "There is no such job.", "not_found");
}

Problem gone_job() {
  return Problem(410, "gone", "The job's retention is over, or it was erased.", "gone");
}

Problem no_job(Presence presence) {
  return presence == Presence::gone ? gone_job() : unknown_job();
}

// Whoever was to be asked about such requests is not known any more.
Problem no_route_to_authorize() {
  return Problem(403, "not_authorized",
                 "The route that authorizes requests for this job is no longer configured.",
                 "route_removed");
}

Problem pending_job(std::string fields) {
  return Problem(404, "pending", "The job has no result yet.", "pending", std::move(fields));
}

std::string content_fields(const Shown& shown) {
  std::string fields = "Content-Type: ";
  fields.append(shown.content_type).append("\r\nCache-Control: no-store\r\n");
  return fields;
}

class JobEndpoint {
 public:
  JobEndpoint(Transaction& transaction, jobs::JobId id, std::string_view id_text)
      : transaction_(transaction),
        services_(transaction.services()),
        id_(id),
        urls_(services_.site.config(), id_text),
        id_text_(id_text) {}

  awaitable<void> status();
  awaitable<void> result();
  awaitable<void> cancel();
  awaitable<void> erase();

 private:
  awaitable<bool> find(bool with_response);
  awaitable<bool> is_allowed();
  void take(Job&& job);
  std::optional<milliseconds> wait_asked() const;
  awaitable<bool> wait_for_change(milliseconds wait);
  void count_poll() { services_.context.metrics.of(services_.site.find(job_.route)).polls.add(); }
  void give_status();
  awaitable<void> give_final();
  // What a client is shown of the job, and, appended to `fields`, how that is coded.
  std::string document(const jobs::Estimate& estimate, std::string& fields) const {
    Shown shown = show_status(services_, ShownJob{job_, id_text_, urls_, estimate});
    fields.append(content_fields(shown));
    return std::move(shown.body);
  }

  Transaction& transaction_;
  Services& services_;
  const jobs::JobId id_;
  const JobUrls urls_;
  const std::string_view id_text_;
  Job job_;
  bool is_allowed_ = false;
};

std::string retry_after_field(const jobs::Estimate& estimate) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(estimate.retry_after);
  std::string field = "Retry-After: ";
  jobs::append_number(field, static_cast<std::uint64_t>(seconds.count()));
  return field += "\r\n";
}

// Two documents with the same tag tell the same but for their estimates, which move all the time.
std::string etag_of(const Job& job, const SiteRoute* route) {
  return fmt::format("\"{}-{}{}\"", version_of(job), job.ahead,
                     route ? route->rules->documents.status_tag() : "");
}

bool matches(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

// From now on its route says which pages may read the answer, and what problems look like.
void JobEndpoint::take(Job&& job) {
  job_ = std::move(job);
  const SiteRoute* const route = services_.site.find(job_.route);
  transaction_.set_cors(route ? &route->rules->cors : nullptr);
  transaction_.set_documents(route);
}

// False: there is none to speak of, or not to this client, who was told. That there is none is told
// to everybody: of one that there is, only whoever has its id can know.
awaitable<bool> JobEndpoint::find(bool with_response) {
  Find asked;
  asked.id = id_;
  asked.with_response = with_response;
  Result<Find> found = co_await services_.store().find(std::move(asked));
  if (!found) {
    jobs::Error error = found.error();
    // The job is there, the store is not.
    if (error.fault == jobs::Fault::internal) error.fault = jobs::Fault::store_failed;
    transaction_.respond(problem_of(error));
    co_return false;
  }
  if (found->presence == Presence::present) {
    take(std::move(found->job));
    if (!is_allowed_) is_allowed_ = co_await is_allowed();
    co_return is_allowed_;
  }
  transaction_.respond(no_job(found->presence));
  co_return false;
}

// Asked once for each request, however often the job is looked at. The route of today decides, but
// one that is gone opens nothing that it guarded.
awaitable<bool> JobEndpoint::is_allowed() {
  const SiteRoute* const route = services_.site.find(job_.route);
  if (!route && job_.authorizes_polls) {
    transaction_.respond(no_route_to_authorize());
    co_return false;
  }
  if (!route || !route->config->authorize.covers_polls()) co_return true;
  co_return co_await authorize(transaction_, *route);
}

// ?wait=20s, ?wait=20 or Prefer: wait=20.
std::optional<milliseconds> JobEndpoint::wait_asked() const {
  for (const Field& field : transaction_.head().fields) {
    if (!jobs::equals_ignoring_case(field.name, "Prefer")) continue;
    const std::string_view values[] = {field.value};
    const jobs::Prefer prefer = jobs::parse_prefer(values);
    if (prefer.wait) return std::min(*prefer.wait, client_wait_max);
    if (prefer.wait_without_value) return wait_default;
  }
  std::string_view query = transaction_.target().query;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    if (!item.starts_with("wait=")) continue;
    std::string_view value = item.substr(5);
    if (value.ends_with('s')) value.remove_suffix(1);
    const bool digits = !value.empty() && value.size() <= 5 &&
                        value.find_first_not_of("0123456789") == std::string_view::npos;
    if (!digits) return wait_malformed;
    return std::min(milliseconds(1000 * std::stol(std::string(value))), client_wait_max);
  }
  return std::nullopt;
}

// A long poll: until the job is in another state, or the time is over. False: the client was
// answered, or has gone.
awaitable<bool> JobEndpoint::wait_for_change(milliseconds wait) {
  const TimePoint until = services_.timers().now() + wait;
  Bulletin::Watch changes(services_.bulletin, id_.place.key());
  bool gone = false;
  ClientWatch watch(transaction_.connection(), services_.timers(), [&gone, &changes] {
    gone = true;
    changes.notify();
  });
  std::optional<State> before;
  while (true) {
    const bool present = co_await find(false);
    if (!present) co_return false;
    if (!before) before = job_.state;
    if (jobs::is_final(job_.state) || job_.state != *before || services_.draining) co_return true;
    const bool changed = co_await changes.wait(until);
    if (gone) {
      transaction_.set_reason("client_closed");
      transaction_.cut_short();
      co_return false;
    }
    if (!changed) co_return true;
  }
}

awaitable<void> JobEndpoint::status() {
  if (prefers_event_stream(transaction_.head().fields)) {
    const bool there = co_await find(false);
    if (there) co_await give_events(transaction_, job_, id_text_);
    co_return;
  }
  const std::optional<milliseconds> wait = wait_asked();
  if (wait == wait_malformed) {
    // Its route says how that is told.
    const bool is_there = co_await find(false);
    if (!is_there) co_return;
    transaction_.respond(
        Problem(400, "bad_request", "wait takes a number of seconds, such as wait=20s."));
    co_return;
  }
  bool present = false;
  if (wait && wait->count() > 0) {
    present = co_await wait_for_change(*wait);
    transaction_.more_fields.append(
        fmt::format("Preference-Applied: wait={}\r\n",
                    std::chrono::duration_cast<std::chrono::seconds>(*wait).count()));
  } else {
    present = co_await find(false);
  }
  if (!present) co_return;
  count_poll();
  if (jobs::is_final(job_.state)) {
    co_await give_final();
  } else {
    give_status();
  }
}

void JobEndpoint::give_status() {
  const jobs::Estimate estimate = estimate_of(services_, job_);
  std::string fields;
  const std::string body = document(estimate, fields);
  const std::string etag = etag_of(job_, services_.site.find(job_.route));
  const int pending_status = async_of(services_, job_).pending_status;
  fields.append("ETag: ").append(etag).append("\r\n").append(retry_after_field(estimate));
  if (pending_status == 202) fields.append("Location: ").append(urls_.status).append("\r\n");
  transaction_.set_reason("pending");
  const auto known = transaction_.head().fields.find("If-None-Match");
  if (known && matches(*known, etag)) {
    transaction_.respond(304, fields, "");
    return;
  }
  transaction_.respond(pending_status, fields, body);
}

awaitable<void> JobEndpoint::give_final() {
  const config::Async& async = async_of(services_, job_);
  if (async.completion == config::Completion::inline_) {
    const bool present = co_await find(true);
    if (present) co_await give_result(transaction_, job_);
    co_return;
  }
  std::string fields;
  const std::string body = document(jobs::Estimate{}, fields);
  fields.append("Location: ").append(urls_.result).append("\r\n");
  transaction_.respond(async.redirect_status, fields, body);
}

awaitable<void> JobEndpoint::result() {
  const bool present = co_await find(true);
  if (!present) co_return;
  count_poll();
  if (!jobs::is_final(job_.state)) {
    transaction_.respond(pending_job(retry_after_field(estimate_of(services_, job_))));
    co_return;
  }
  co_await give_result(transaction_, job_);
}

awaitable<void> JobEndpoint::cancel() {
  const bool is_there = co_await find(false);
  if (!is_there) co_return;
  Result<store::Cancel> canceled = co_await cancel_job(services_, id_);
  if (!canceled) {
    transaction_.respond(problem_of(canceled.error()));
    co_return;
  }
  if (canceled->presence != Presence::present) {
    transaction_.respond(no_job(canceled->presence));
    co_return;
  }
  take(std::move(canceled->job));
  std::string fields;
  const std::string body = document(jobs::Estimate{}, fields);
  transaction_.respond(200, fields, body);
}

awaitable<void> JobEndpoint::erase() {
  const bool is_there = co_await find(false);
  if (!is_there) co_return;
  if (!jobs::is_final(job_.state)) {
    transaction_.respond(
        Problem(409, "pending", "The job has not ended: cancel it first.", "pending"));
    co_return;
  }
  store::Erase command;
  command.id = id_;
  const Result<store::Erase> erased = co_await services_.store().apply(command);
  if (!erased) {
    transaction_.respond(problem_of(erased.error()));
  } else if (erased->presence != Presence::present) {
    transaction_.respond(no_job(erased->presence));
  } else {
    transaction_.respond(204, "Cache-Control: no-store\r\n", "");
  }
}

void not_allowed(Transaction& transaction) {
  transaction.respond(Problem(405, "method_not_allowed",
                              "A job is asked for with GET and HEAD, and ended with DELETE.",
                              nullptr, fmt::format("Allow: {}\r\n", job_methods)));
}

}  // namespace

awaitable<void> answer_about_job(Transaction& transaction, std::string_view rest) {
  // Of what has no route: that there is no such job is no secret.
  transaction.set_cors(&transaction.services().site.cors_of_jobs());
  const std::string_view id_text = rest.substr(0, rest.find('/'));
  const std::string_view what = rest.substr(id_text.size());
  const auto id = transaction.services().codec().decode(id_text);
  if (!id || (!what.empty() && what != "/result")) {
    transaction.respond(unknown_job());
    co_return;
  }
  transaction.set_job(id_text);
  const std::string_view method = transaction.head().method;
  const bool is_read = method == "GET" || method == "HEAD";
  if (!is_read && method != "DELETE") {
    not_allowed(transaction);
    co_return;
  }
  JobEndpoint endpoint(transaction, *id, id_text);
  if (is_read && what.empty()) {
    co_await endpoint.status();
  } else if (is_read) {
    co_await endpoint.result();
  } else if (what.empty()) {
    co_await endpoint.cancel();
  } else {
    co_await endpoint.erase();
  }
}

void accept(Transaction& transaction, const SiteRoute& route, const Job& job) {
  Services& services = transaction.services();
  const jobs::IdText id = services.codec().encode(job.id);
  const JobUrls urls(services.site.config(), jobs::view(id));
  const jobs::Estimate estimate = estimate_of(services, job);
  const Shown shown =
      show_accepted(transaction, route, ShownJob{job, jobs::view(id), urls, estimate});
  std::string fields = content_fields(shown);
  fields.append("Location: ")
      .append(urls.status)
      .append("\r\n")
      .append(retry_after_field(estimate));
  transaction.set_reason("accepted");
  transaction.set_job(jobs::view(id));
  transaction.set_route(route);
  transaction.respond(202, fields, shown.body);
}

namespace {

Problem problem_of(const Job& job) {
  if (job.state == State::canceled) {
    return Problem(410, "canceled", "The job was canceled.", "canceled");
  }
  return Problem(jobs::error_status(job.error), jobs::name(job.error),
                 std::string(jobs::error_detail(job.error)));
}

// A result whose body cannot be read: the job is gone by now, or the store is in trouble.
awaitable<void> tell_missing(Transaction& transaction, jobs::JobId id) {
  Find asked;
  asked.id = id;
  const Result<Find> found = co_await transaction.services().store().find(std::move(asked));
  if (found && found->presence != Presence::present) {
    transaction.respond(no_job(found->presence));
  } else {
    transaction.respond(proxy::problem_of(jobs::Error(jobs::Fault::store_failed, "")));
  }
}

// The parts of a stored result's body that the request asks for, RFC 9110 section 14.
awaitable<void> give_body(Transaction& transaction, const Job& job) {
  const jobs::Response& response = job.response;
  Services& services = transaction.services();
  ByteRange range{0, response.body.size};
  int status = response.status;
  std::string fields = response.head;
  const auto asked = transaction.head().fields.find("Range");
  const bool is_get = transaction.head().method == "GET";
  if (status == 200) fields.append("Accept-Ranges: bytes\r\n");
  if (asked && is_get && status == 200 &&
      if_range_holds(transaction.head().fields.find("If-Range"), response.head)) {
    const RangeAnswer answer = choose_range(*asked, response.body.size);
    if (answer.kind == RangeAnswer::Kind::unsatisfiable) {
      Problem problem{416, "range_not_satisfiable", "The result has no such bytes."};
      problem.fields = fmt::format("Content-Range: bytes */{}\r\n", response.body.size);
      transaction.respond(problem);
      co_return;
    }
    if (answer.kind == RangeAnswer::Kind::part) {
      range = answer.range;
      status = 206;
      fields.append(fmt::format("Content-Range: bytes {}-{}/{}\r\n", range.first,
                                range.first + range.size - 1, response.body.size));
    }
  }
  const bool bodiless = transaction.head().method == "HEAD" || status == 204 || status == 304;
  BodyReader body(services.store(), response.body, range.first, bodiless ? 0 : range.size);
  // Before the head: the job may have been erased since it was found, and its file with it.
  Result<std::string_view> piece = co_await body.next();
  if (!piece) {
    co_await tell_missing(transaction, job.id);
    co_return;
  }
  transaction.begin_response(status, "", fields, Transaction::Length::known, range.size);
  Io io = Io::ok;
  while (io == Io::ok && !piece->empty()) {
    io = co_await transaction.write_piece(*piece);
    if (io == Io::ok) piece = co_await body.next();
    if (piece) continue;
    transaction.set_reason("store_failed");
    transaction.cut_short();
    co_return;
  }
  transaction.end_response();
  if (io != Io::ok) {
    transaction.set_reason("client_closed");
    transaction.cut_short();
  }
}

}  // namespace

awaitable<void> give_result(Transaction& transaction, const Job& job) {
  if (job.response.status == 0) {
    Problem problem = problem_of(job);
    // A result never changes: not the id of whoever asks, but of whoever submitted.
    problem.instance = job.request_id;
    transaction.respond(problem);
    co_return;
  }
  co_await give_body(transaction, job);
}

}  // namespace raincheck::proxy
