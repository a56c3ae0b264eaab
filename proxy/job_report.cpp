#include "proxy/job_report.hpp"

#include <algorithm>
#include <utility>

#include "jobs/document.hpp"
#include "jobs/history.hpp"
#include "jobs/json_object.hpp"
#include "jobs/labels.hpp"
#include "jobs/text.hpp"
#include "proxy/certificates.hpp"
#include "routes/percent.hpp"

namespace raincheck::proxy {

using jobs::Job;
using jobs::JsonObject;

namespace {

// What the names of credentials are, how they end, and words in them; without what is no letter.
constexpr std::string_view names[] = {"code", "cookie", "otp", "setcookie", "sid", "sig"};
constexpr std::string_view ends[] = {"auth", "key", "pass", "pwd"};
constexpr std::string_view words[] = {
    "accesskey", "authentication", "authorization", "bearer",  "credential", "jwt",  "passphrase",
    "passwd",    "password",       "secret",        "session", "signature",  "token"};
constexpr std::string_view idempotency_key = "idempotencykey";  // is none

std::string letters_of(std::string_view name) {
  std::string decoded;
  routes::append_decoded(decoded, name, routes::Plus::space);
  std::string letters;
  for (const char c : decoded) {
    const auto lower = static_cast<char>(c | 0x20);
    if (lower >= 'a' && lower <= 'z') letters.push_back(lower);
  }
  return letters;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find("\r\n"));
  text.remove_prefix(std::min(text.size(), line.size() + 2));
  return line;
}

// Text with a URL in it, whose query's credentials are left out.
std::string without_credentials(std::string_view line) {
  const std::size_t mark = line.find('?');
  if (mark == line.npos) return std::string(line);
  std::string shown(line.substr(0, mark + 1));
  std::string_view query = line.substr(mark + 1);
  while (true) {
    const std::string_view item = query.substr(0, query.find('&'));
    const std::string_view name = item.substr(0, item.find('='));
    if (is_credential(name)) {
      shown.append(name).append("=***");
    } else {
      shown.append(item);
    }
    if (item.size() == query.size()) return shown;
    shown += '&';
    query.remove_prefix(item.size() + 1);
  }
}

// As "Name: value"; what we noted of the client's certificate is no field that it sent.
void append_fields(std::string& out, std::string_view lines) {
  out += '[';
  bool is_first = true;
  while (!lines.empty()) {
    const std::string_view line = take_line(lines);
    if (line.starts_with(client_certificate_prefix)) continue;
    const std::string_view name = line.substr(0, line.find(':'));
    if (!std::exchange(is_first, false)) out += ',';
    const std::string shown =
        is_credential(name) ? std::string(name) + ": ***" : without_credentials(line);
    jobs::append_json_string(out, shown);
  }
  out += ']';
}

void append_request(std::string& out, const Job& job) {
  std::string_view head = job.head;
  JsonObject request(out);
  request.text("line", without_credentials(take_line(head)));
  request.member("fields");
  append_fields(out, head);
  request.number("bytes", job.body.size);
}

void append_history(std::string& out, const Job& job) {
  out += '[';
  bool is_first = true;
  for (const jobs::PastAttempt& past : jobs::read_history(job.history)) {
    if (!std::exchange(is_first, false)) out += ',';
    JsonObject attempt(out);
    attempt.number("attempt", past.number);
    attempt.time("startedAt", job.created_at + past.began);
    // Of one that was lost nobody knows when it ended.
    if (past.reason != "lost") attempt.time("endedAt", job.created_at + past.began + past.took);
    attempt.text_if_set("server", past.server);
    if (past.status != 0) attempt.number("responseStatus", static_cast<unsigned>(past.status));
    attempt.text("reason", past.reason);
  }
  out += ']';
}

void append_labels(std::string& out, std::string_view lines) {
  JsonObject labels(out);
  while (!lines.empty()) {
    const std::string_view label = jobs::take_label(lines);
    const std::size_t equals = label.find('=');
    labels.text(label.substr(0, equals), label.substr(equals + 1));
  }
}

}  // namespace

bool is_credential(std::string_view name) {
  const std::string letters = letters_of(name);
  const auto is_it = [&letters](std::string_view each) { return letters == each; };
  const auto has_end = [&letters](std::string_view each) { return letters.ends_with(each); };
  const auto has_word = [&letters](std::string_view each) {
    return letters.find(each) != letters.npos;
  };
  return letters != idempotency_key && (std::any_of(std::begin(names), std::end(names), is_it) ||
                                        std::any_of(std::begin(ends), std::end(ends), has_end) ||
                                        std::any_of(std::begin(words), std::end(words), has_word));
}

void append_report(std::string& out, const Job& job, const JobReport& report) {
  JsonObject object(out);
  object.text("id", report.id);
  object.text("status", jobs::name(job.state));
  object.text("route", job.route);
  object.text_if_set("upstream", report.upstream);
  object.text("requestId", job.request_id);
  object.text_if_set("redriveOf", job.redrive_of);
  if (!job.labels.empty()) {
    object.member("labels");
    append_labels(out, job.labels);
  }
  object.time("createdAt", job.created_at);
  const auto age = std::max(report.now - job.created_at, jobs::milliseconds(0));
  object.number("age", static_cast<std::uint64_t>(age.count() / 1'000));
  object.number("attempts", job.attempt);
  object.time_if_set("startedAt", job.started_at);
  if (job.due_at > report.now) object.time("nextAttemptAt", job.due_at);
  object.time_if_set("finishedAt", job.finished_at);
  object.time_if_set("expiresAt", job.expires_at);
  if (job.response.status != 0) {
    object.number("responseStatus", static_cast<unsigned>(job.response.status));
    object.number("responseBytes", job.response.body.size);
  }
  if (job.state == jobs::State::failed) {
    object.member("error");
    jobs::append_error(out, job.error);
  }
  if (!report.in_detail) return;
  if (!job.head.empty()) {
    object.member("request");
    append_request(out, job);
  }
  object.member("history");
  append_history(out, job);
}

}  // namespace raincheck::proxy
