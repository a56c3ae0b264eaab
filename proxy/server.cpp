#include "proxy/server.hpp"

#include <sched.h>
#include <spdlog/spdlog.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <csignal>

#include "jobs/decide.hpp"
#include "store/sqlite_backend.hpp"

namespace raincheck::proxy {

using jobs::milliseconds;

namespace {

constexpr std::size_t shards_max = 16;
constexpr milliseconds drain_poll{20};
constexpr milliseconds store_poll{50};
// After the grace period, for what was given up to be recorded.
constexpr milliseconds abort_grace{5'000};

// One for each processor that this process may use.
std::size_t shard_count() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::clamp<std::size_t>(static_cast<std::size_t>(CPU_COUNT(&allowed)), 1, shards_max);
}

// What goes wrong with the store at the start has an exit status of its own.
template <class F>
auto of_the_store(F&& step) {
  try {
    return step();
  } catch (const std::runtime_error& error) {
    throw StoreUnusable(error.what());
  }
}

std::unique_ptr<store::Store> open_store(const config::Store& settings) {
  store::SqliteOptions options;
  options.directory = settings.directory;
  options.bytes_max = settings.max_bytes;
  return of_the_store([&] {
    auto spool = std::make_unique<store::Spool>(settings.directory + "/spool", settings.max_bytes);
    auto backend = std::make_unique<store::SqliteBackend>(options, *spool);
    return std::make_unique<store::Store>(std::move(backend), std::move(spool),
                                          store::StoreOptions{});
  });
}

}  // namespace

Server::Server(config::Config config)
    : access_logger_(open_logs(config.log, config.access_log)),
      config_(std::move(config)),
      store_(open_store(config_.store)),
      site_(of_the_store([this] { return std::make_unique<Site>(config_, store_->backend()); })),
      shard_count_(shard_count()),
      metrics_(shard_count_) {
  for (const config::Upstream& upstream : config_.upstreams) {
    slots_.push_back(std::make_unique<Slots>(upstream.max_concurrency));
    server_slots_.push_back(make_server_slots(upstream));
    outliers_.push_back(std::make_unique<Outliers>(upstream));
  }
  for (const config::Listener& listener : site_->config().listeners) {
    connections_.push_back(std::make_unique<ConnectionCounts>(listener.limits));
  }
  auto followed = of_the_store([this] { return recover(); });
  const Shared shared{*site_,
                      *store_,
                      slots_,
                      server_slots_,
                      outliers_,
                      connections_,
                      pending_,
                      bodies_,
                      metrics_,
                      access_logger_,
                      store_->backend().secret()};
  for (std::size_t i = 0; i < shard_count_; ++i)
    shards_.push_back(std::make_unique<Shard>(i, shard_count_, shared));
  for (const auto& shard : shards_) shard->connect(shards_);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    std::vector<std::function<void()>> wake;
    for (const auto& shard : shards_) {
      wake.push_back([shard = shard.get(), i] { shard->wake(i); });
    }
    for (const auto& slots : server_slots_[i]) {
      slots->set_wake(wake);
    }
    slots_[i]->set_wake(std::move(wake));
  }
  for (Recovered::Followed& each : followed) {
    shards_[each.upstream % shard_count_]->resume(each.upstream, std::move(each.job));
  }
  open_operations();
  open_listeners();
}

Server::~Server() = default;

// What was running when an earlier process ended is queued again or ended, or is to be followed;
// all before anything is accepted.
std::vector<Recovered::Followed> Server::recover() {
  Recovered recovered = recover_jobs(store_->backend(), *site_, jobs::system_clock());
  for (const Recovered::Followed& followed : recovered.followed) slots_[followed.upstream]->take();
  for (const Recovered::Held& held : recovered.held) {
    Slots* const slots = slots_[held.upstream].get();
    if (!slots->try_take()) continue;
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, held.time);
    timer->async_wait([slots, timer](boost::system::error_code error) {
      if (!error) slots->give();
    });
  }
  pending_.count = static_cast<std::int64_t>(recovered.queued);
  recovered_ = recovered;
  if (recovered.requeued + recovered.unknown + recovered.abandoned != 0) {
    spdlog::warn(
        "after an earlier process: {} jobs queued again, {} ended as outcome_unknown, {} as "
        "route_removed",
        recovered.requeued, recovered.unknown, recovered.abandoned);
  }
  spdlog::info("{} jobs are waiting", recovered.queued);
  return std::move(recovered.followed);
}

void Server::open_listeners() {
  const auto& listeners = site_->config().listeners;
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    std::string address = listeners[i].address;
    const bool is_unix = address.starts_with("unix:");
    for (const auto& shard : shards_) {
      shard->add_listener(i, listen_on(address, shard == shards_.front()));
      if (is_unix) break;
    }
    spdlog::info("listening on {}", address);
  }
}

int Server::run() {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) signals_.add(number);
  await_signal();
  watch_store();
  for (const auto& shard : shards_) shard->start();
  metrics_.reload.succeeded_at = jobs::system_clock().wall_now();
  ::sd_notify(0, "READY=1");
  watch_vitals();
  io_.run();
  return status_;
}

void Server::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int number) {
    if (error) return;
    if (number == SIGHUP) {
      spdlog::warn("SIGHUP: this version cannot reload its configuration; restart it instead");
      await_signal();
      return;
    }
    if (draining_) {
      spdlog::warn("a second signal: ending at once");
      close_logs();
      std::_Exit(128 + number);
    }
    spdlog::info("{}: draining for {} ms at most", ::strsignal(number),
                 config_.shutdown.grace_period.count());
    begin_drain();
    await_signal();
  });
}

void Server::watch_store() {
  store_timer_.expires_after(store_poll);
  store_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    if (!store_->failed()) {
      watch_store();
      return;
    }
    spdlog::critical(
        "the store has failed: nothing more can be recorded. Ending, so that a new process reads "
        "what is true");
    status_ = EX_IOERR;
    if (!draining_) begin_drain();
    drain_until_ = jobs::system_clock().now();
  });
}

void Server::begin_drain() {
  draining_ = true;
  ::sd_notify(0, "STOPPING=1");
  tell_systemd();
  const auto delay = status_ == 0 ? config_.shutdown.delay : milliseconds(0);
  drain_until_ = jobs::system_clock().now() + delay + config_.shutdown.grace_period;
  timer_.expires_after(delay);
  timer_.async_wait([this](boost::system::error_code) {
    for (const auto& shard : shards_) shard->begin_drain();
    poll_drain();
  });
}

void Server::poll_drain() {
  timer_.expires_after(drain_poll);
  timer_.async_wait([this](boost::system::error_code) {
    const bool idle = std::all_of(shards_.begin(), shards_.end(),
                                  [](const auto& shard) { return shard->is_idle(); });
    const auto now = jobs::system_clock().now();
    if (idle) {
      finish();
    } else if (aborted_ && now >= drain_until_ + abort_grace) {
      // What could not be given up in order is found as running by the next process; nothing
      // durable is lost.
      spdlog::error("some work did not end; leaving it to the next process");
      close_logs();
      std::_Exit(status_);
    } else {
      if (!aborted_ && now >= drain_until_) {
        aborted_ = true;
        for (const auto& shard : shards_) shard->abort_all();
      }
      poll_drain();
    }
  });
}

void Server::finish() {
  for (const auto& shard : shards_) shard->stop();
  for (const auto& shard : shards_) shard->join();
  shards_.clear();
  store_.reset();
  spdlog::info("stopped");
  // Whatever waits for this context still, such as slots held over from an earlier process, is
  // over.
  io_.stop();
}

}  // namespace raincheck::proxy
