#include "proxy/job_terms.hpp"

namespace raincheck::proxy {
namespace {

bool may_resend(config::Resend resend, std::string_view method) {
  switch (resend) {
    case config::Resend::always:
      return true;
    case config::Resend::never:
      return false;
    case config::Resend::idempotent:
      return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
             method == "DELETE";
  }
  return false;
}

}  // namespace

void apply_terms(jobs::NewJob& job,
                 const SiteRoute& route,
                 std::string_view method,
                 jobs::WallTime now) {
  const config::Async& async = route.config->async;
  job.lane = route.lane;
  job.created_at = now;
  job.finish_by = now + async.job_timeout;
  job.start_by = now + async.queue_timeout.value_or(async.job_timeout);
  job.may_resend = may_resend(async.resend, method);
  job.route = route.config->name;
  job.authorizes_polls = route.config->authorize.covers_polls();
  job.retention = route.retention;
}

}  // namespace raincheck::proxy
