#include "proxy/job_view.hpp"

#include <fmt/format.h>

#include "jobs/document.hpp"

namespace raincheck::proxy {

using jobs::Job;

const config::Async& async_of(const Services& services, const Job& job) {
  static const config::Async defaults;
  const SiteRoute* const route = services.site.find(job.route);
  return route ? route->config->async : defaults;
}

jobs::Estimate estimate_of(Services& services, const Job& job) {
  const SiteRoute* const route = services.site.find(job.route);
  const config::Async& async = async_of(services, job);
  jobs::Progress progress;
  progress.now = services.timers().wall_now();
  progress.state = job.state;
  progress.age = progress.now - job.created_at;
  progress.ahead = job.ahead;
  if (job.state == jobs::State::running) progress.running_for = progress.now - job.started_at;
  static const RouteDurations nothing;
  const RouteDurations* durations = &nothing;
  if (route) {
    durations = &services.bulletin.durations(route->known->number);
    const Slots& slots = *services.upstreams[route->upstream].slots;
    progress.concurrency = slots.max();
    progress.paused = slots.paused() || route->known->paused;
    // The lanes take turns.
    progress.ahead *= std::max<std::size_t>(1, slots.backlog());
  }
  return jobs::estimate(durations->waited, durations->ran, progress, async.retry_after.min,
                        async.retry_after.max);
}

std::string document_of(Services& services,
                        const Job& job,
                        std::string_view id,
                        const JobUrls& urls,
                        const jobs::Estimate& estimate) {
  jobs::DocumentContext context;
  context.id = id;
  context.status_url = urls.status;
  context.result_url = urls.result;
  context.now = services.timers().wall_now();
  if (!jobs::is_final(job.state)) context.completion = estimate.completion;
  std::string document;
  document.reserve(512);
  jobs::append_document(document, job, context);
  return document;
}

std::string version_of(const Job& job) {
  return fmt::format("{}-{}-{}", jobs::name(job.state), job.attempt,
                     job.due_at.time_since_epoch().count());
}

}  // namespace raincheck::proxy
