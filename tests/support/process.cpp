#include "tests/support/process.hpp"

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <stdexcept>

#include "store/sqlite_backend.hpp"
#include "tests/support/server_slots.hpp"

namespace raincheck::test {

namespace asio = boost::asio;
using jobs::milliseconds;
using proxy::awaitable;

namespace {

std::unique_ptr<store::Store> open_store(const ProcessParts& parts) {
  auto spool = std::make_unique<store::Spool>(parts.directory + "/spool");
  std::unique_ptr<store::Backend> backend =
      std::make_unique<store::SqliteBackend>(store::SqliteOptions{parts.directory, 0}, *spool);
  if (parts.wrap) backend = parts.wrap(std::move(backend));
  store::StoreOptions options;
  options.threads = false;
  return std::make_unique<store::Store>(std::move(backend), std::move(spool), options);
}

}  // namespace

TestShard::TestShard(Process& process, std::size_t index)
    : process_(process),
      index_(index),
      timers_(process.clock()),
      readiness_(io_),
      metrics_(process.metrics_, index, process.site()),
      store_(process.store(), io_),
      bulletin_(io_, timers_),
      log_(io_, process.site().config().access_log, nullptr, process.store().backend().secret()),
      codec_(process.store().backend().secret()),
      tasks_(io_, timers_),
      upstreams_(process.site().config().upstreams.size()),
      dispatchers_(upstreams_.size()),
      serving_(new proxy::Serving{proxy::Services{
          proxy::ShardContext{
              {io_, timers_, readiness_, buffers_, store_, codec_, process.bodies_, warnings_},
              metrics_},
          process.site(),
          tasks_,
          bulletin_,
          log_,
          entropy_,
          process.pending_,
          upstreams_,
          {},
          draining_}}) {}

void TestShard::connect() {
  std::vector<proxy::Bulletin*> others;
  for (const auto& shard : process_.shards_) {
    if (shard.get() != this) others.push_back(&shard->bulletin_);
  }
  bulletin_.set_others(std::move(others));
  services().abort_everywhere = [this](std::int64_t key) {
    for (const auto& shard : process_.shards_) {
      asio::post(shard->io_, [shard = shard.get(), key] {
        for (proxy::ShardUpstream& upstream : shard->upstreams_) upstream.runner->abort(key);
      });
    }
  };
  for (std::size_t upstream = 0; upstream < upstreams_.size(); ++upstream) make_upstream(upstream);
}

void TestShard::make_upstream(std::size_t index) {
  proxy::ShardUpstream& upstream = upstreams_[index];
  TestShard& owner = *process_.shards_[index % process_.shards_.size()];
  upstream.config = &process_.site().config().upstreams[index];
  upstream.slots = process_.slots_[index].get();
  upstream.queue = std::make_unique<proxy::SlotQueue>(io_, timers_, *upstream.slots, index_);
  upstream.pool = std::make_unique<proxy::UpstreamPool>(
      services().context, *upstream.config, process_.site().tls().of_upstream(index),
      process_.server_slots_[index], *process_.outliers_[index], index_);
  scripted_.push_back(std::make_unique<ScriptedUpstream>(io_, timers_, process_.parts_.peer(index),
                                                         upstream.config->on_abort));
  upstream.runner = std::make_unique<proxy::Runner>(
      services().context, process_.site(), *upstream.config, *scripted_.back(), *upstream.slots,
      tasks_, bulletin_, log_, events_for(index));
  if (&owner == this) {
    const auto ended = [this](const jobs::Place& place, std::string_view, jobs::ErrorType) {
      --process_.pending_.count;
      bulletin_.publish(proxy::JobChange{place.key(), true});
    };
    dispatchers_[index] = std::make_unique<proxy::Dispatcher>(
        services().context, process_.metrics_, tasks_, upstream.config->name, *upstream.slots,
        ended, tell_lane(), index_);
    dispatchers_[index]->configure(process_.site(), index, *upstream.runner);
    tasks_.spawn(dispatchers_[index]->run());
    upstream.inserted = [this, index](std::uint32_t lane) { dispatchers_[index]->inserted(lane); };
  } else {
    upstream.inserted = [&owner, index](std::uint32_t lane) {
      asio::post(owner.io_, [&owner, index, lane] { owner.dispatchers_[index]->inserted(lane); });
    };
  }
}

proxy::Dispatcher::Tell TestShard::tell_lane() {
  return
      [&shards = process_.shards_](std::size_t upstream, std::uint32_t lane, jobs::WallTime due) {
        TestShard& owner = *shards[upstream % shards.size()];
        asio::post(owner.io_, [&owner, upstream, lane, due] {
          owner.dispatchers_[upstream]->requeued(lane, due);
        });
      };
}

proxy::RunnerEvents TestShard::events_for(std::size_t index) {
  TestShard& owner = *process_.shards_[index % process_.shards_.size()];
  const auto tell = [this, &owner, index](auto call) {
    if (&owner == this) {
      call(*dispatchers_[index]);
    } else {
      asio::post(owner.io_, [&owner, index, call] { call(*owner.dispatchers_[index]); });
    }
  };
  proxy::Slots* const slots = process_.slots_[index].get();
  proxy::RunnerEvents events;
  events.requeued = [tell](std::uint32_t lane, jobs::WallTime due) {
    tell([lane, due](proxy::Dispatcher& dispatcher) { dispatcher.requeued(lane, due); });
  };
  events.unavailable = [tell](milliseconds hold) {
    tell([hold](proxy::Dispatcher& dispatcher) { dispatcher.unavailable(hold); });
  };
  events.available = [tell, slots] {
    if (slots->held()) tell([](proxy::Dispatcher& dispatcher) { dispatcher.available(); });
  };
  events.skipped = [tell, slots] {
    if (slots->held()) tell([](proxy::Dispatcher& dispatcher) { dispatcher.skipped(); });
  };
  events.finished = [this] { --process_.pending_.count; };
  return events;
}

void TestShard::wake(std::size_t upstream) {
  asio::post(io_, [this, upstream] {
    upstreams_[upstream].queue->wake();
    if (dispatchers_[upstream]) dispatchers_[upstream]->wake();
  });
}

void TestShard::resume(std::size_t upstream, jobs::Job job) {
  asio::post(io_, [this, upstream, job = std::move(job)]() mutable {
    upstreams_[upstream].runner->start(std::move(job));
  });
}

void TestShard::serve(proxy::Descriptor socket) {
  tasks_.spawn(session(std::move(socket)));
}

awaitable<void> TestShard::session(proxy::Descriptor socket) {
  proxy::Session session(serving_, process_.site().config().listeners.front(), std::move(socket),
                         "unix");
  sessions_.insert(&session);
  co_await session.run();
  sessions_.erase(&session);
}

std::size_t TestShard::running() const {
  std::size_t running = 0;
  for (const proxy::ShardUpstream& upstream : upstreams_) running += upstream.runner->running();
  return running;
}

void TestShard::drain() {
  draining_ = true;
  for (const auto& dispatcher : dispatchers_) {
    if (dispatcher) dispatcher->stop();
  }
  for (proxy::ShardUpstream& upstream : upstreams_) upstream.runner->drain();
  for (proxy::Session* const session : sessions_) session->drain();
  bulletin_.release_waiters();
}

void TestShard::give_up() {
  for (proxy::ShardUpstream& upstream : upstreams_) {
    upstream.runner->stop();
    upstream.pool->stop();
  }
  for (proxy::Session* const session : sessions_) session->abort();
}

Process::Process(ProcessParts parts)
    : parts_(std::move(parts)),
      store_(open_store(parts_)),
      site_(std::make_unique<proxy::Site>(parts_.config, *store_, routes_)),
      metrics_(parts_.shards) {
  for (const config::Upstream& upstream : parts_.config.upstreams) {
    slots_.push_back(std::make_unique<proxy::Slots>(upstream.max_concurrency));
    server_slots_.push_back(make_server_slots(upstream));
    outliers_.push_back(std::make_unique<proxy::Outliers>(upstream));
  }
  site_->open_lanes(*store_);
  recovered_ = proxy::recover_jobs(store_->backend(), *site_, clock(), [](const std::string&) {});
  pending_.count = static_cast<std::int64_t>(recovered_.queued);
  for (std::size_t i = 0; i < parts_.shards; ++i) {
    shards_.push_back(std::make_unique<TestShard>(*this, i));
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    std::vector<std::function<void()>> wake;
    for (const auto& shard : shards_) {
      wake.push_back([shard = shard.get(), i] { shard->wake(i); });
    }
    slots_[i]->set_wake(std::move(wake));
  }
  for (const proxy::Recovered::Held& held : recovered_.held) {
    proxy::Slots* const slots = slots_[held.upstream].get();
    if (!slots->try_take()) continue;
    shards_.front()->timers().at(clock().now() + held.time, [slots] { slots->give(); });
  }
  for (const auto& shard : shards_) shard->connect();
  for (proxy::Recovered::Followed& followed : recovered_.followed) {
    slots_[followed.upstream]->take();
    shards_[followed.upstream % shards_.size()]->resume(followed.upstream, std::move(followed.job));
  }
}

Process::~Process() {
  end_tasks();
  shards_.clear();
}

void Process::run_due() {
  for (const auto& shard : shards_) {
    shard->timers().run_due();
    shard->timers().sweep();
  }
}

bool Process::step() {
  bool any = false;
  for (const auto& shard : shards_) any = shard->poll() || any;
  any = commit() || any;
  any = read() || any;
  return file_work() || any;
}

void Process::run() {
  run_due();
  for (int i = 0; step(); ++i) {
    if (i == 100'000) throw std::runtime_error("the proxy does not come to rest");
  }
}

void Process::advance(milliseconds time) {
  clock().advance(time);
  run();
}

int Process::connect(std::size_t shard) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error("no socket pair");
  }
  shards_[shard]->serve(proxy::Descriptor(ends[1]));
  return ends[0];
}

namespace {

struct Submitted {
  proxy::Services& services;
  const proxy::SiteRoute& route;
  std::string head;
  std::optional<jobs::JobId> id;
};

bool may_resend(config::Resend resend, std::string_view method) {
  if (resend == config::Resend::idempotent) return method == "GET" || method == "PUT";
  return resend == config::Resend::always;
}

awaitable<void> submit_job(Submitted& submitted) {
  proxy::Services& services = submitted.services;
  proxy::ShardUpstream& upstream = services.upstreams[submitted.route.upstream];
  const config::Async& async = submitted.route.config->async;
  store::Insert insert;
  insert.job.random = services.entropy.random();
  insert.job.lane = submitted.route.lane;
  insert.job.created_at = services.timers().wall_now();
  insert.job.finish_by = insert.job.created_at + async.job_timeout;
  insert.job.start_by = insert.job.created_at + async.queue_timeout.value_or(async.job_timeout);
  insert.job.may_resend =
      may_resend(async.resend, submitted.head.substr(0, submitted.head.find(' ')));
  insert.job.route = submitted.route.config->name;
  insert.job.head = submitted.head;
  insert.job.retention = submitted.route.retention;
  proxy::Slots& slots = *upstream.slots;
  insert.start = !slots.held() && !slots.paused() && !submitted.route.known->paused &&
                 !slots.has_backlog() && upstream.queue->empty() && slots.try_take();
  const bool has_slot = insert.start;
  jobs::Job job;
  job.created_at = job.started_at = insert.job.created_at;
  job.start_by = insert.job.start_by;
  job.finish_by = insert.job.finish_by;
  job.may_resend = insert.job.may_resend;
  job.route = insert.job.route;
  job.head = insert.job.head;
  job.attempt = 1;
  const auto inserted = co_await services.store().apply(std::move(insert));
  const bool runs = inserted && inserted->outcome == store::Insert::Outcome::running;
  if (has_slot && !runs) upstream.slots->give();
  if (!inserted) co_return;
  submitted.id = job.id = inserted->id;
  ++services.pending.count;
  if (runs) {
    upstream.runner->start(std::move(job));
  } else {
    upstream.inserted(submitted.route.lane);
  }
}

awaitable<void> cancel_job(proxy::Services& services, store::Cancel& cancel) {
  store::Cancel command = cancel;
  const auto canceled = co_await services.store().apply(std::move(command));
  if (!canceled) co_return;
  cancel = *canceled;
  if (cancel.presence != store::Presence::present || jobs::is_final(cancel.was)) co_return;
  --services.pending.count;
  if (cancel.was == jobs::State::running) services.abort_everywhere(cancel.id.place.key());
}

}  // namespace

std::optional<jobs::JobId> Process::submit(std::string_view route,
                                           std::string_view method,
                                           std::string_view target,
                                           std::size_t shard) {
  TestShard& on = *shards_[shard];
  Submitted submitted{on.services(), *site_->find(route), {}, {}};
  submitted.head.append(method).append(" ").append(target).append("\r\n");
  on.tasks().spawn(submit_job(submitted));
  run();
  return submitted.id;
}

store::Cancel Process::cancel(const jobs::JobId& id, std::size_t shard) {
  TestShard& on = *shards_[shard];
  store::Cancel cancel;
  cancel.id = id;
  cancel.now = clock().wall_now();
  on.tasks().spawn(cancel_job(on.services(), cancel));
  run();
  return cancel;
}

jobs::Job Process::find(const jobs::JobId& id) {
  store::Find find;
  find.id = id;
  find.with_response = true;
  store::Find* const batch = &find;
  const jobs::Result<void> found = store_->backend().find(std::span(&batch, 1));
  if (!found || find.presence != store::Presence::present) throw std::runtime_error("no such job");
  return find.job;
}

void Process::configure(const proxy::Site& next) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    TestShard& shard = *shards_[i % shards_.size()];
    shard.dispatcher(i)->configure(next, i, shard.runner(i));
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) dispatcher(i).hand_over();
}

void Process::pause_route(std::string_view route, bool paused) {
  site_->find(route)->known->paused = paused;
  for (std::size_t upstream = 0; upstream < slots_.size(); ++upstream) {
    TestShard& shard = *shards_[upstream % shards_.size()];
    asio::post(shard.io(), [&shard, upstream] { shard.dispatcher(upstream)->pauses_changed(); });
  }
}

proxy::Dispatcher& Process::dispatcher(std::size_t upstream) {
  return *shards_[upstream % shards_.size()]->dispatcher(upstream);
}

void Process::stop(milliseconds patience) {
  for (const auto& shard : shards_) shard->drain();
  const jobs::TimePoint until = clock().now() + patience;
  run();
  const auto is_idle = [this] {
    return std::all_of(shards_.begin(), shards_.end(), [](const auto& s) { return s->is_idle(); });
  };
  while (!is_idle() && clock().now() < until) advance(milliseconds(100));
  end_tasks();
}

// Whatever waits for time is helped along, for it has none left.
void Process::end_tasks() {
  for (const auto& shard : shards_) shard->drain();
  for (const auto& shard : shards_) shard->give_up();
  run();
  const auto is_idle = [](const auto& shard) { return shard->is_idle(); };
  for (int i = 0; i < 10'000 && !std::all_of(shards_.begin(), shards_.end(), is_idle); ++i) {
    for (const auto& shard : shards_) shard->give_up();
    advance(milliseconds(100));
  }
}

}  // namespace raincheck::test
