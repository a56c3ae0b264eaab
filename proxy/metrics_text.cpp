#include "proxy/metrics_text.hpp"

#include <fmt/format.h>

#include "jobs/date.hpp"
#include "proxy/process_stat.hpp"

namespace raincheck::proxy {

using Type = MetricsWriter::Type;

namespace {

constexpr double ms_per_second = 1e3;
constexpr double us_per_second = 1e6;

std::string_view type_name(Type type) {
  switch (type) {
    case Type::counter:
      return "counter";
    case Type::gauge:
      return "gauge";
    case Type::histogram:
      return "histogram";
  }
  return "untyped";
}

// As short as it reads back the same.
void append_double(std::string& out, double value) {
  fmt::format_to(std::back_inserter(out), "{}", value);
}

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out.append("\\n");
    } else {
      out.push_back(c);
    }
  }
}

}  // namespace

void MetricsWriter::family(Type type, std::string_view name, std::string_view help) {
  name_ = name;
  labels_.clear();
  out_.append("# HELP ").append(name).append(" ").append(help);
  out_.append("\n# TYPE ").append(name).append(" ").append(type_name(type)).append("\n");
}

void MetricsWriter::label(std::string_view name, std::string_view value) {
  if (!labels_.empty()) labels_.push_back(',');
  labels_.append(name).append("=\"");
  append_escaped(labels_, value);
  labels_.push_back('"');
}

void MetricsWriter::head(std::string_view suffix, std::string_view more) {
  out_.append(name_).append(suffix);
  if (!labels_.empty() || !more.empty()) {
    out_.append("{").append(labels_);
    if (!labels_.empty() && !more.empty()) out_.push_back(',');
    out_.append(more).append("}");
  }
  out_.push_back(' ');
}

void MetricsWriter::line(std::string_view suffix, std::string_view more, std::int64_t value) {
  head(suffix, more);
  const fmt::format_int text(value);
  out_.append(text.data(), text.size()).push_back('\n');
}

void MetricsWriter::sample(double value) {
  head("", "");
  append_double(out_, value);
  out_.push_back('\n');
}

void MetricsWriter::histogram(const std::vector<const Histogram*>& of_shards, double units) {
  const auto bounds = of_shards.front()->bounds();
  std::int64_t count = 0;
  std::int64_t sum = 0;
  std::string bound;
  for (std::size_t bucket = 0; bucket <= bounds.size(); ++bucket) {
    for (const Histogram* const each : of_shards) count += each->count(bucket);
    bound = "le=\"";
    if (bucket < bounds.size()) {
      append_double(bound, static_cast<double>(bounds[bucket]) / units);
    } else {
      bound.append("+Inf");
    }
    line("_bucket", bound.append("\""), count);
  }
  for (const Histogram* const each : of_shards) sum += each->sum();
  head("_sum", "");
  append_double(out_, static_cast<double>(sum) / units);
  out_.push_back('\n');
  line("_count", "", count);
}

namespace {

template <class T, class Get>
std::int64_t total(const std::vector<std::unique_ptr<T>>& shards, const Get& get) {
  std::int64_t sum = 0;
  for (const auto& shard : shards) sum += get(*shard).value();
  return sum;
}

// Of one that nothing was observed in there are no lines.
template <class T>
void write_histogram(MetricsWriter& out,
                     const std::vector<std::unique_ptr<T>>& shards,
                     const Histogram T::*member,
                     double units) {
  std::vector<const Histogram*> all;
  bool is_used = false;
  for (const auto& shard : shards) {
    const Histogram& histogram = (*shard).*member;
    all.push_back(&histogram);
    for (std::size_t i = 0; !is_used && i <= histogram.bounds().size(); ++i) {
      is_used = histogram.count(i) != 0;
    }
  }
  if (is_used) out.histogram(all, units);
}

void write_build(MetricsWriter& out, const MetricsSources& sources) {
  out.family(Type::gauge, "raincheck_build_info", "The version of the running program.");
  out.label("version", RAINCHECK_VERSION);
  out.label("compiler", __VERSION__);
  out.sample(std::int64_t{1});
  const Metrics::Reload& reload = sources.metrics.reload;
  out.family(Type::gauge, "raincheck_config_last_reload_successful",
             "1 if the configuration that was read last is in force.");
  out.sample(std::int64_t{reload.was_successful});
  out.family(Type::gauge, "raincheck_config_last_reload_success_timestamp_seconds",
             "When the configuration in force was taken over.");
  out.sample(static_cast<double>(reload.succeeded_at.time_since_epoch().count()) / ms_per_second);
  out.family(Type::gauge, "raincheck_recovered_jobs",
             "Jobs that an earlier process left running, by what became of them at this start.");
  const std::pair<const char*, std::uint64_t> outcomes[] = {
      {"requeued", sources.recovered.requeued},
      {"outcome_unknown", sources.recovered.unknown},
      {"route_removed", sources.recovered.abandoned}};
  for (const auto& [outcome, count] : outcomes) {
    out.clear();
    out.label("outcome", outcome);
    out.sample(static_cast<std::int64_t>(count));
  }
}

void write_requests(MetricsWriter& out, const MetricsSources& sources) {
  out.family(Type::counter, "raincheck_http_requests_total",
             "Exchanges with clients that have ended.");
  for (const auto& [names, shards] : sources.metrics.requests) {
    for (std::size_t method = 0; method < method_labels.size(); ++method) {
      for (std::size_t code = 0; code < code_labels.size(); ++code) {
        const std::int64_t count = total(
            shards, [&](const RequestCounts& of) -> auto& { return of[method][code]; });
        if (count == 0) continue;
        out.clear();
        out.label("listener", names.first);
        out.label("route", names.second);
        out.label("method", method_labels[method]);
        out.label("code", code_labels[code]);
        out.sample(count);
      }
    }
  }
}

void write_refusals(MetricsWriter& out, const MetricsSources& sources) {
  out.family(Type::counter, "raincheck_http_rejected_total",
             "Requests that raincheck refused or could not carry out, by the access log's reason.");
  for (std::size_t reason = 0; reason < refusal_labels.size(); ++reason) {
    out.clear();
    out.label("reason", refusal_labels[reason]);
    out.sample(total(
        sources.metrics.refusals, [&](const RefusalMetrics& of) -> auto& {
          return of.counts[reason];
        }));
  }
}

void write_connections(MetricsWriter& out, const MetricsSources& sources) {
  out.family(Type::gauge, "raincheck_http_connections", "Open connections of clients.");
  const auto& listeners = sources.config().listeners;
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    out.clear();
    out.label("listener", listeners[i].name);
    out.sample(std::int64_t{sources.generation.connections(i)->open()});
  }
}

void write_handshakes(MetricsWriter& out, const MetricsSources& sources) {
  out.family(Type::counter, "raincheck_tls_handshake_failures_total",
             "TLS handshakes that clients began and that failed.");
  for (const auto& [name, shards] : sources.metrics.handshakes) {
    for (std::size_t reason = 0; reason < handshake_failure_labels.size(); ++reason) {
      const std::int64_t count = total(
          shards, [&](const HandshakeFailures& of) -> auto& { return of[reason]; });
      if (count == 0) continue;
      out.clear();
      out.label("listener", name);
      out.label("reason", handshake_failure_labels[reason]);
      out.sample(count);
    }
  }
}

void write_expiries(MetricsWriter& out, const MetricsSources& sources) {
  const auto each = [&out](std::string_view label, const std::vector<Expiry>& expiries) {
    for (const Expiry& expiry : expiries) {
      out.clear();
      out.label(label, expiry.name);
      out.sample(std::chrono::floor<std::chrono::seconds>(expiry.at.time_since_epoch()).count());
    }
  };
  const TlsContexts& tls = sources.generation.site().tls();
  out.family(Type::gauge, "raincheck_tls_certificate_not_after_timestamp_seconds",
             "When a certificate of ours expires.");
  each("cert", tls.expiries());
  out.family(Type::gauge, "raincheck_tls_crl_next_update_timestamp_seconds",
             "By when a CRL has to be renewed.");
  each("crl", tls.crl_expiries());
}

// One number of each route.
struct RouteFamily {
  Type type;
  const char* name;
  const char* help;
  Counter RouteMetrics::*value;
};

constexpr RouteFamily route_families[] = {
    {Type::gauge, "raincheck_http_requests_in_flight", "Exchanges with clients that go on.",
     &RouteMetrics::in_flight},
    {Type::counter, "raincheck_http_request_bytes_total", "Bytes of request bodies.",
     &RouteMetrics::request_bytes},
    {Type::counter, "raincheck_http_response_bytes_total", "Bytes sent to clients.",
     &RouteMetrics::response_bytes},
    {Type::counter, "raincheck_jobs_accepted_total", "Jobs that were made durable.",
     &RouteMetrics::accepted},
    {Type::counter, "raincheck_job_polls_total", "Requests for the status or result of a job.",
     &RouteMetrics::polls},
    {Type::gauge, "raincheck_jobs_running", "Jobs whose attempt is under way.",
     &RouteMetrics::running},
};

struct RouteHistogram {
  const char* name;
  const char* help;
  Histogram RouteMetrics::*value;
};

constexpr RouteHistogram route_histograms[] = {
    {"raincheck_http_request_duration_seconds",
     "From the first byte of a request to the end of its answer.", &RouteMetrics::duration},
    {"raincheck_job_queue_duration_seconds",
     "From the 202 to the start of the attempt that ended the job.", &RouteMetrics::waited},
    {"raincheck_job_duration_seconds", "How long the attempt took that ended the job.",
     &RouteMetrics::ran},
};

void write_routes(MetricsWriter& out, const MetricsSources& sources) {
  const auto& routes = sources.metrics.routes;
  for (const RouteFamily& family : route_families) {
    out.family(family.type, family.name, family.help);
    for (const auto& [name, shards] : routes) {
      out.clear();
      out.label("route", name);
      out.sample(total(
          shards, [&](const RouteMetrics& of) -> auto& { return of.*family.value; }));
    }
  }
  out.family(Type::counter, "raincheck_jobs_finished_total", "Jobs that have ended.");
  for (const auto& [name, shards] : routes) {
    for (std::size_t outcome = 0; outcome < outcome_labels; ++outcome) {
      const std::int64_t count = total(
          shards, [&](const RouteMetrics& of) -> auto& { return of.finished[outcome]; });
      if (count == 0) continue;
      out.clear();
      out.label("route", name);
      out.label("outcome", outcome_name(outcome));
      out.sample(count);
    }
  }
  for (const RouteHistogram& family : route_histograms) {
    out.family(Type::histogram, family.name, family.help);
    for (const auto& [name, shards] : routes) {
      out.clear();
      out.label("route", name);
      write_histogram(out, shards, family.value, ms_per_second);
    }
  }
}

void write_queue(MetricsWriter& out, const MetricsSources& sources) {
  const Site& site = sources.generation.site();
  const auto label = [&out](const Metrics::Pair& names) {
    out.clear();
    out.label("upstream", names.first);
    out.label("route", names.second);
  };
  // One that no configured route has is told of until it is empty.
  const auto is_told = [&site](const Metrics::Pair& names, const QueueMetrics& queue) {
    const SiteRoute* const route = site.find(names.second);
    return queue.queued.value() != 0 || (route && route->config->upstream == names.first);
  };
  out.family(Type::gauge, "raincheck_queue_depth",
             "Jobs that wait, for their first attempt or another.");
  for (const auto& [names, queue] : sources.metrics.queues) {
    if (!is_told(names, *queue)) continue;
    label(names);
    out.sample(queue->queued.value());
  }
  out.family(Type::gauge, "raincheck_queue_oldest_age_seconds",
             "How long the first that waits for its first attempt has waited; 0: none waits.");
  const std::int64_t now = sources.clock.wall_now().time_since_epoch().count();
  for (const auto& [names, queue] : sources.metrics.queues) {
    if (!is_told(names, *queue)) continue;
    label(names);
    const std::int64_t oldest = queue->oldest.value();
    const std::int64_t age = oldest == 0 ? 0 : std::max<std::int64_t>(0, now - oldest);
    out.sample(static_cast<double>(age) / ms_per_second);
  }
  out.family(Type::gauge, "raincheck_route_paused",
             "1 while no job of the route begins, because an operator has paused it.");
  for (const SiteRoute& route : site.routes()) {
    if (!route.has_jobs()) continue;
    out.clear();
    out.label("route", route.config->name);
    out.sample(std::int64_t{route.known->paused});
  }
}

void write_store(MetricsWriter& out, const MetricsSources& sources) {
  const store::Store::Counts counts = sources.store.counts();
  out.family(Type::counter, "raincheck_store_commits_total", "Durable commits.");
  out.sample(static_cast<std::int64_t>(counts.commits));
  out.family(Type::histogram, "raincheck_store_commit_commands", "Commands in one commit.");
  out.histogram({&sources.store.metrics().commands}, 1);
  out.family(Type::histogram, "raincheck_store_commit_duration_seconds",
             "How long a commit took, its sync included.");
  out.histogram({&sources.store.metrics().duration}, us_per_second);
  out.family(Type::gauge, "raincheck_store_bytes", "Bytes of the store, bodies included.");
  out.sample(static_cast<std::int64_t>(sources.store.backend().bytes()));
  out.family(Type::gauge, "raincheck_store_limit_bytes", "The store's limit: store.max_bytes.");
  out.sample(static_cast<std::int64_t>(sources.config().store.max_bytes));
  out.family(Type::gauge, "raincheck_store_free_bytes", "Free on the store's file system.");
  out.sample(static_cast<std::int64_t>(sources.store.spool().space().free_bytes()));
  out.family(Type::gauge, "raincheck_store_failed", "1 after a sync has failed.");
  out.sample(std::int64_t{sources.store.failed()});
}

void write_upstreams(MetricsWriter& out, const MetricsSources& sources) {
  const auto& upstreams = sources.metrics.upstreams;
  out.family(Type::histogram, "raincheck_upstream_request_duration_seconds",
             "How long calls took, whatever came of them.");
  for (const auto& [name, shards] : upstreams) {
    out.clear();
    out.label("upstream", name);
    write_histogram(out, shards, &UpstreamMetrics::duration, ms_per_second);
  }
  out.family(Type::counter, "raincheck_upstream_retries_total",
             "Attempts that failed and are made again, by what they failed of.");
  for (const auto& [name, shards] : upstreams) {
    for (std::size_t reason = 0; reason < retry_labels; ++reason) {
      const std::int64_t count = total(
          shards, [&](const UpstreamMetrics& of) -> auto& { return of.retries[reason]; });
      if (count == 0) continue;
      out.clear();
      out.label("upstream", name);
      out.label("reason", retry_name(reason));
      out.sample(count);
    }
  }
  const auto each = [&](const auto& value) {
    const auto& served = sources.generation.upstreams();
    for (std::size_t i = 0; i < served.size(); ++i) {
      out.clear();
      out.label("upstream", sources.config().upstreams[i].name);
      out.sample(std::int64_t{value(*served[i].slots)});
    }
  };
  out.family(Type::gauge, "raincheck_upstream_held",
             "1 while the upstream takes no calls and its jobs wait.");
  each([](const Slots& slots) { return slots.held(); });
  out.family(Type::gauge, "raincheck_upstream_paused",
             "1 while no job of the upstream begins, because an operator has paused it.");
  each([](const Slots& slots) { return slots.paused(); });
}

void write_servers(MetricsWriter& out, const MetricsSources& sources) {
  const auto& servers = sources.metrics.servers;
  const auto label = [&out](std::string_view upstream, std::string_view server) {
    out.clear();
    out.label("upstream", upstream);
    out.label("server", server);
  };
  out.family(Type::counter, "raincheck_upstream_requests_total", "Calls that have ended.");
  for (const auto& [names, shards] : servers) {
    for (std::size_t code = 0; code < code_labels.size(); ++code) {
      const std::int64_t count = total(
          shards, [&](const ServerMetrics& of) -> auto& { return of.requests[code]; });
      if (count == 0) continue;
      label(names.first, names.second);
      out.label("code", code_labels[code]);
      out.sample(count);
    }
  }
  out.family(Type::counter, "raincheck_upstream_ejections_total",
             "How often a server was left out because its calls failed.");
  for (const auto& [names, shards] : servers) {
    label(names.first, names.second);
    out.sample(total(
        shards, [](const ServerMetrics& of) -> auto& { return of.ejections; }));
  }
  const auto each = [&](const auto& value) {
    const auto& served = sources.generation.upstreams();
    for (std::size_t i = 0; i < served.size(); ++i) {
      const config::Upstream& upstream = sources.config().upstreams[i];
      for (std::size_t server = 0; server < upstream.servers.size(); ++server) {
        label(upstream.name, upstream.servers[server].authority);
        out.sample(std::int64_t{value(served[i], server)});
      }
    }
  };
  out.family(Type::gauge, "raincheck_upstream_requests_in_flight", "Calls that go on.");
  using Served = Generation::Upstream;
  each([](const Served& of, std::size_t server) { return of.servers[server]->taken(); });
  out.family(Type::gauge, "raincheck_upstream_healthy",
             "0 while a server is left out, by health checks or because its calls failed.");
  const jobs::TimePoint now = sources.clock.now();
  each([now](const Served& of, std::size_t server) {
    return !of.servers[server]->held() && !of.outliers->is_ejected(server, now);
  });
}

void write_process(MetricsWriter& out, const MetricsSources& sources) {
  const ProcessStat stat = read_process_stat(sources.clock.wall_now());
  out.family(Type::counter, "process_cpu_seconds_total", "CPU time of the process.");
  out.sample(stat.cpu_seconds);
  out.family(Type::gauge, "process_resident_memory_bytes", "Memory that is in RAM.");
  out.sample(stat.resident_bytes);
  out.family(Type::gauge, "process_open_fds", "Open file descriptors.");
  out.sample(stat.open_files);
  out.family(Type::gauge, "process_max_fds", "How many there may be.");
  out.sample(stat.max_files);
  out.family(Type::gauge, "process_start_time_seconds", "When the process was started.");
  out.sample(stat.start_seconds);
}

}  // namespace

std::string metrics_text(MetricsSources& sources) {
  MetricsWriter out;
  const std::lock_guard lock(sources.metrics.mutex);
  for (const auto write : {write_build, write_requests, write_refusals, write_connections,
                           write_handshakes, write_expiries, write_routes, write_queue, write_store,
                           write_upstreams, write_servers, write_process}) {
    write(out, sources);
  }
  return out.take();
}

}  // namespace raincheck::proxy
