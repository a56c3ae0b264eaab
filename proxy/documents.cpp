#include "proxy/documents.hpp"

#include "jobs/document.hpp"
#include "proxy/job_view.hpp"
#include "proxy/route_call.hpp"

namespace raincheck::proxy {

using jobs::Job;
using routes::DocumentName;
using routes::DocumentValues;

namespace {

std::string text_of(jobs::WallTime time) {
  std::string text;
  if (time != jobs::WallTime{}) jobs::append_time(text, time);
  return text;
}

DocumentValues values_of(const ShownJob& of, const routes::Documents& documents) {
  const Job& job = of.job;
  DocumentValues values;
  values[DocumentName::job_status] = documents.word(job.state);
  values[DocumentName::job_status_url] = of.urls.status;
  values[DocumentName::job_result_url] = of.urls.result;
  values[DocumentName::job_created_at] = text_of(job.created_at);
  values[DocumentName::job_started_at] = text_of(job.started_at);
  values[DocumentName::job_ended_at] = text_of(job.finished_at);
  values[DocumentName::job_attempts] = std::to_string(job.attempt);
  if (job.state == jobs::State::queued) {
    values[DocumentName::job_queue_position] = std::to_string(job.ahead + 1);
  }
  if (!jobs::is_final(job.state)) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(of.estimate.retry_after);
    values[DocumentName::job_retry_after] = std::to_string(seconds.count());
    if (of.estimate.completion) {
      values[DocumentName::job_estimated_completion_at] = text_of(*of.estimate.completion);
    }
  }
  if (job.state == jobs::State::failed) {
    values[DocumentName::job_error_type] = jobs::name(job.error);
    values[DocumentName::job_error_detail] = jobs::error_detail(job.error);
  }
  return values;
}

Shown native(Services& services, const ShownJob& of) {
  Shown shown;
  shown.body = document_of(services, of.job, of.id, of.urls, of.estimate);
  return shown;
}

// With what the request gives.
bool render(Transaction& transaction,
            const SiteRoute& route,
            const routes::Document& document,
            const DocumentValues& values,
            std::string_view job_id,
            std::string& out) {
  Services& services = transaction.services();
  std::string stored;
  transaction.append_stored(stored);
  RouteCall request(services.context.warnings, services.site, route, stored,
                    transaction.request_id(), std::string(job_id));
  return request.show(document, values, out);
}

}  // namespace

Shown show_status(Services& services, const ShownJob& of) {
  const SiteRoute* const route = services.site.find(of.job.route);
  if (!route || route->rules->documents.status.is_empty()) return native(services, of);
  const routes::Documents& documents = route->rules->documents;
  const DocumentValues document = values_of(of, documents);
  routes::Values values;
  values.job_id = of.id;
  values.route_name = route->config->name;
  values.public_url = services.site.config().public_url;
  values.document = &document;
  Shown shown;
  shown.content_type = documents.status.content_type();
  return documents.status.render(values, shown.body) ? shown : native(services, of);
}

Shown show_accepted(Transaction& transaction, const SiteRoute& route, const ShownJob& of) {
  const routes::Documents& documents = route.rules->documents;
  if (documents.accepted.is_empty()) return native(transaction.services(), of);
  Shown shown;
  shown.content_type = documents.accepted.content_type();
  const bool is_shown =
      render(transaction, route, documents.accepted, values_of(of, documents), of.id, shown.body);
  return is_shown ? shown : native(transaction.services(), of);
}

std::optional<Shown> show_problem(Transaction& transaction,
                                  const SiteRoute& route,
                                  const Problem& problem) {
  const routes::Document& document = route.rules->documents.error;
  if (document.is_empty()) return std::nullopt;
  DocumentValues values;
  values[DocumentName::error_type] = problem.type;
  values[DocumentName::error_title] = reason_phrase(problem.status);
  values[DocumentName::error_detail] = problem.detail;
  values[DocumentName::error_status] = std::to_string(problem.status);
  values[DocumentName::error_instance] =
      problem.instance.empty() ? transaction.request_id() : problem.instance;
  values[DocumentName::error_errors] = problem.errors;
  Shown shown;
  shown.content_type = document.content_type();
  if (!render(transaction, route, document, values, transaction.job(), shown.body)) {
    return std::nullopt;
  }
  return shown;
}

}  // namespace raincheck::proxy
