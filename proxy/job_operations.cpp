#include "proxy/job_operations.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jobs/json_object.hpp"
#include "proxy/job_changes.hpp"
#include "proxy/job_query.hpp"
#include "proxy/job_report.hpp"

namespace raincheck::proxy {

using jobs::Result;

namespace {

// Rows that are looked at in one go: some milliseconds of a thread that reads bodies too; and of
// such goes for one page.
constexpr std::uint32_t look_max = 1'000;
constexpr int looks_max = 100;

OperationAnswer absent_answer(store::Presence presence) {
  return presence == store::Presence::gone
             ? problem_answer(410, "the job's retention is over, or it was purged")
             : problem_answer(404, "there is no such job");
}

OperationAnswer fault_answer(const jobs::Error& error) {
  return problem_answer(503, error.detail);
}

void append_job(std::string& out, Services& services, const jobs::Job& job, bool in_detail) {
  const std::string id = services.codec().text(job.id);
  const SiteLane* const lane = services.site.lane(job.id.place.lane);
  JobReport report;
  report.id = id;
  if (lane) {
    const std::string_view now = lane->route ? lane->route->config->upstream : lane->name.upstream;
    // At which of several a job was called is not recorded, but by its server in the history.
    const bool is_known = job.state == jobs::State::queued || now == lane->name.upstream;
    if (is_known) report.upstream = now;
  }
  report.now = services.timers().wall_now();
  report.in_detail = in_detail;
  append_report(out, job, report);
}

OperationAnswer page_of(Services& services, const store::List& list) {
  std::string page;
  {
    jobs::JsonObject object(page);
    object.member("jobs");
    page += '[';
    for (const jobs::Job& job : list.jobs) {
      if (page.back() != '[') page += ',';
      append_job(page, services, job, false);
    }
    page += ']';
    if (list.more) object.text("cursor", cursor_text(list.cursor));
  }
  return json_answer(std::move(page));
}

awaitable<OperationAnswer> list_jobs(Services& services, OperationRequest request) {
  store::List list;
  const std::string wrong = read_job_query(request, services.timers().wall_now(), list);
  if (!wrong.empty()) co_return problem_answer(400, wrong);
  list.look_max = look_max;
  const std::uint32_t wanted = list.count_max;
  std::vector<jobs::Job> found;
  for (int looks = 0; looks < looks_max; ++looks) {
    list.count_max = wanted - static_cast<std::uint32_t>(found.size());
    Result<store::List> listed = co_await services.store().list(std::move(list));
    if (!listed) co_return fault_answer(listed.error());
    list = std::move(*listed);
    std::move(list.jobs.begin(), list.jobs.end(), std::back_inserter(found));
    if (!list.more || found.size() == wanted) break;
  }
  list.jobs = std::move(found);
  co_return page_of(services, list);
}

awaitable<OperationAnswer> show_job(Services& services, OperationRequest request) {
  const auto id = services.codec().decode(request.arguments[0]);
  if (!id) co_return absent_answer(store::Presence::unknown);
  store::Find asked;
  asked.id = *id;
  asked.with_request = true;
  const Result<store::Find> found = co_await services.store().find(std::move(asked));
  if (!found) co_return fault_answer(found.error());
  if (found->presence != store::Presence::present) co_return absent_answer(found->presence);
  std::string job;
  append_job(job, services, found->job, true);
  co_return json_answer(std::move(job));
}

awaitable<OperationAnswer> cancel(Services& services, OperationRequest request) {
  const auto id = services.codec().decode(request.arguments[0]);
  if (!id) co_return absent_answer(store::Presence::unknown);
  const Result<store::Cancel> canceled = co_await cancel_job(services, *id);
  if (!canceled) co_return fault_answer(canceled.error());
  if (canceled->presence != store::Presence::present) co_return absent_answer(canceled->presence);
  if (jobs::is_final(canceled->was)) {
    co_return problem_answer(
        409, fmt::format("the job has ended already: {}", jobs::name(canceled->was)));
  }
  std::string job;
  append_job(job, services, canceled->job, false);
  OperationAnswer answer = json_answer(std::move(job));
  answer.outcome = fmt::format("the job was {}", jobs::name(canceled->was));
  co_return answer;
}

awaitable<OperationAnswer> purge(Services& services, OperationRequest request) {
  const auto id = services.codec().decode(request.arguments[0]);
  if (!id) co_return absent_answer(store::Presence::unknown);
  store::Erase command;
  command.id = *id;
  const Result<store::Erase> erased = co_await services.store().apply(command);
  if (!erased) co_return fault_answer(erased.error());
  if (erased->presence != store::Presence::present) co_return absent_answer(erased->presence);
  if (!jobs::is_final(erased->was)) {
    co_return problem_answer(409, "the job has not ended: cancel it first");
  }
  OperationAnswer answer;
  answer.status = 204;
  answer.outcome =
      fmt::format("the job had {}",
                  erased->was == jobs::State::canceled ? "been canceled" : jobs::name(erased->was));
  co_return answer;
}

OperationAnswer redriven_answer(Services& services,
                                const OperationRequest& request,
                                const Redriven& redriven) {
  switch (redriven.outcome) {
    case Redriven::Outcome::unknown:
      return absent_answer(store::Presence::unknown);
    case Redriven::Outcome::gone:
      return absent_answer(store::Presence::gone);
    case Redriven::Outcome::refused:
      return problem_answer(409, redriven.why);
    case Redriven::Outcome::failed:
      return problem_answer(503, redriven.why);
    case Redriven::Outcome::done:
    case Redriven::Outcome::existed:
      break;
  }
  const bool is_new = redriven.outcome == Redriven::Outcome::done;
  OperationAnswer answer;
  answer.status = is_new ? 201 : 200;
  const std::string id = services.codec().text(redriven.id);
  {
    jobs::JsonObject object(answer.body);
    object.text("id", id);
    object.text("redriveOf", request.arguments[0]);
  }
  answer.outcome = (is_new ? "as job " : "redriven before, as job ") + id;
  return answer;
}

awaitable<OperationAnswer> redrive(Services& services, OperationRequest request) {
  const auto id = services.codec().decode(request.arguments[0]);
  if (!id) co_return absent_answer(store::Presence::unknown);
  const Redriven redriven = co_await redrive_job(services, *id);
  co_return redriven_answer(services, request, redriven);
}

using Call = awaitable<OperationAnswer> (*)(Services&, OperationRequest);

awaitable<void> answer(Services& services,
                       Call call,
                       OperationRequest request,
                       OperationReply reply) {
  OperationAnswer answer = co_await call(services, std::move(request));
  reply(std::move(answer));
}

Operation row(std::string method, std::string path, Call call, const OnShard& on_shard) {
  const auto hand_over = [call, on_shard](OperationRequest request, OperationReply reply) {
    on_shard([call, request = std::move(request), reply = std::move(reply)](Services& services) {
      return answer(services, call, request, reply);
    });
  };
  return {std::move(method), std::move(path), hand_over};
}

}  // namespace

std::vector<Operation> job_operations(const OnShard& on_shard) {
  return {
      row("GET", "/jobs", list_jobs, on_shard),
      row("GET", "/jobs/{}", show_job, on_shard),
      row("DELETE", "/jobs/{}", purge, on_shard),
      row("POST", "/jobs/{}/cancel", cancel, on_shard),
      row("POST", "/jobs/{}/redrive", redrive, on_shard),
  };
}

}  // namespace raincheck::proxy
