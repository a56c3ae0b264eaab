#include "proxy/server.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sysexits.h>

#include <algorithm>
#include <csignal>
#include <latch>
#include <utility>

#include "config/text.hpp"
#include "jobs/decide.hpp"
#include "proxy/logs.hpp"
#include "proxy/service_manager.hpp"
#include "store/file_system.hpp"
#include "store/sqlite_backend.hpp"

namespace raincheck::proxy {

using jobs::milliseconds;

namespace {

constexpr std::size_t shards_max = 16;
constexpr milliseconds drain_poll{20};
constexpr milliseconds store_poll{50};
// Without a refusal for so long, a store that was full is called full no more.
constexpr milliseconds full_for{5'000};
// A process may run for longer than a certificate.
constexpr std::chrono::hours tell_expiries_every{24};
// After the grace period, for what was given up to be recorded.
constexpr milliseconds abort_grace{5'000};
// What systemd is asked for: at each step of the start, and again each second of a drain.
constexpr milliseconds step_time{300'000};
constexpr milliseconds tell_every{1'000};
constexpr milliseconds drain_step_time{30'000};

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
  service_manager::tell_busy("opening the store", step_time);
  store::Space::Limits limits;
  limits.bytes_max = settings.max_bytes;
  limits.free_min = settings.min_free;
  limits.reserve = settings.reserve;
  store::SqliteOptions options;
  options.directory = settings.directory;
  return of_the_store([&] {
    auto spool = std::make_unique<store::Spool>(settings.directory + "/spool", limits);
    auto backend = std::make_unique<store::SqliteBackend>(options, *spool);
    if (backend->was_copied()) {
      spdlog::warn(
          "the store is a backup that was put back: what waited or ran in it may have been carried "
          "out since, and is sent again only where that is allowed");
    }
    if (store::is_in_memory(settings.directory)) {
      spdlog::warn(
          "the store is in memory ({}): its jobs and results are lost when the machine restarts; "
          "set store.directory to a folder on a disk",
          settings.directory);
    }
    return std::make_unique<store::Store>(std::move(backend), std::move(spool),
                                          store::StoreOptions{});
  });
}

}  // namespace

Server::Server(config::Config config, std::string file, FileWatch files)
    : file_(std::move(file)),
      access_logger_(open_access_log(config.access_log)),
      store_(open_store(config.store)),
      bodies_(config),
      shard_count_(shard_count()),
      metrics_(shard_count_),
      known_([this](std::size_t upstream) { return wake_for(upstream); }) {
  const Shared shared{*store_,  pending_,       bodies_,
                      metrics_, access_logger_, store_->backend().secret()};
  for (std::size_t i = 0; i < shard_count_; ++i)
    shards_.push_back(std::make_unique<Shard>(i, shard_count_, shared));
  for (const auto& shard : shards_) shard->connect(shards_);
  of_the_store([&] {
    generation_ = std::make_shared<Generation>(std::move(config), *store_, known_, nullptr);
    generation_->site().open_lanes(*store_);
    recall_paused();
    recover();
  });
  open_operations();
  opened_ = open_listeners(*generation_);
  files_ = std::move(files);
  files_read_ = files_seen_ = files_.noted();
}

Server::~Server() = default;

std::vector<std::function<void()>> Server::wake_for(std::size_t upstream) const {
  std::vector<std::function<void()>> wake;
  for (const auto& shard : shards_) {
    wake.emplace_back([shard = shard.get(), upstream] { shard->wake(upstream); });
  }
  return wake;
}

// What was running when an earlier process ended is queued again or ended, or is to be followed;
// all before anything is accepted.
void Server::recover() {
  const auto tell = [](const std::string& status) {
    service_manager::tell_busy(status, step_time);
  };
  Recovered recovered =
      recover_jobs(store_->backend(), generation_->site(), jobs::system_clock(), tell);
  const auto& upstreams = generation_->upstreams();
  for (const Recovered::Followed& each : recovered.followed) upstreams[each.upstream].slots->take();
  for (const Recovered::Held& held : recovered.held) {
    Slots* const slots = upstreams[held.upstream].slots;
    if (!slots->try_take()) continue;
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, held.time);
    timer->async_wait([slots, timer](boost::system::error_code error) {
      if (!error) slots->give();
    });
  }
  pending_.count = static_cast<std::int64_t>(recovered.queued);
  recovered_ = static_cast<const RecoveredCounts&>(recovered);
  if (recovered.requeued + recovered.unknown + recovered.abandoned != 0) {
    spdlog::warn(
        "after an earlier process: {} jobs queued again, {} ended as outcome_unknown, {} as "
        "route_removed",
        recovered.requeued, recovered.unknown, recovered.abandoned);
  }
  spdlog::info("{} jobs are waiting", recovered.queued);
  followed_ = std::move(recovered.followed);
}

Server::Opened Server::open_listeners(const Generation& generation) const {
  Opened opened;
  opened.sockets.resize(shards_.size());
  const auto& listeners = generation.site().config().listeners;
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    const std::string& key = generation.listener_key(index);
    if (listeners_.count(key) != 0) continue;
    std::string address = listeners[index].address;
    const auto parsed = config::parse_listen_address(address);
    if (parsed && !parsed->passed_name.empty()) {
      open_passed(parsed->passed_name, key, opened);
      continue;
    }
    const bool is_unix = address.starts_with("unix:");
    for (std::size_t i = 0; i < shards_.size() && !(is_unix && i > 0); ++i) {
      opened.sockets[i].emplace_back(key, listen_on(address, i == 0));
    }
    opened.places.push_back(address);
  }
  return opened;
}

// Every shard accepts from the same sockets: they are not ours to open once more.
void Server::open_passed(const std::string& name, const std::string& key, Opened& opened) const {
  for (const int socket : passed_.named(name)) {
    for (Shard::Sockets& of_shard : opened.sockets) {
      of_shard.emplace_back(key, ListeningSocket{duplicate(socket), {}});
    }
    opened.places.push_back(fmt::format("{} (systemd:{})", listening_address(socket), name));
  }
}

// Who connects to one would wait for ever.
void Server::warn_of_unused_sockets() const {
  std::vector<std::string> used;
  for (const config::Listener& listener : config().listeners) {
    const auto address = config::parse_listen_address(listener.address);
    if (address) used.push_back(address->passed_name);
  }
  for (const std::string& name : passed_.names_besides(used)) {
    spdlog::warn("systemd passed a socket '{}', and no listener has 'address: systemd:{}'", name,
                 name);
  }
}

int Server::run() {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) signals_.add(number);
  await_signal();
  watch_store();
  watch_files();
  for (const auto& shard : shards_) shard->start();
  serve(generation_, std::move(opened_));
  for (Recovered::Followed& each : followed_) {
    const std::size_t number = generation_->upstreams()[each.upstream].number;
    shards_[number % shards_.size()]->resume(each.upstream, std::move(each.job));
  }
  followed_.clear();
  metrics_.reload.succeeded_at = jobs::system_clock().wall_now();
  service_manager::tell_ready(status_text());
  watch_vitals();
  io_.run();
  return status_;
}

// On the thread of each, all at once; returns when it is done.
template <class F>
void Server::on_every_shard(F call) {
  std::latch done(static_cast<std::ptrdiff_t>(shards_.size()));
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_[i]->post([&, i] {
      call(*shards_[i], i);
      done.count_down();
    });
  }
  done.wait();
}

// A shard that serves the new configuration sends messages to others, so all are prepared first.
void Server::serve(std::shared_ptr<Generation> generation, Opened opened) {
  bodies_.make_room(generation->site().config());
  generation->enforce();
  on_every_shard([&](Shard& shard, std::size_t) { shard.prepare(generation); });
  on_every_shard(
      [&](Shard& shard, std::size_t i) { shard.serve_prepared(std::move(opened.sockets[i])); });
  generation_ = std::move(generation);
  listeners_.clear();
  for (std::size_t i = 0; i < config().listeners.size(); ++i) {
    listeners_.insert(generation_->listener_key(i));
  }
  for (const std::string& place : opened.places) spdlog::info("listening on {}", place);
  warn_of_unused_sockets();
  set_log_level(config().log.level);
  tell_expiries_at_ = {};
  tell_of_expiries();
}

void Server::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int number) {
    if (error) return;
    on_signal(number);
    await_signal();
  });
}

void Server::on_signal(int number) {
  if (number == SIGHUP) {
    if (draining_) {
      spdlog::warn("{}: it is stopping, and reads no configuration", ::strsignal(number));
    } else {
      reload();
    }
    return;
  }
  if (draining_) {
    spdlog::warn("a second signal: ending at once");
    (void)close_logs();
    std::_Exit(128 + number);
  }
  spdlog::info("{}: draining for {} ms at most", ::strsignal(number),
               config().shutdown.grace_period.count());
  begin_drain();
}

void Server::watch_store() {
  store_timer_.expires_after(store_poll);
  store_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    if (!store_->failed()) {
      tell_of_space();
      tell_of_expiries();
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

// Once when there is too little room, and once when there was enough for a while.
void Server::tell_of_space() {
  const store::Space& space = store_->spool().space();
  const auto now = jobs::system_clock().now();
  if (space.room() == 0) {
    full_at_ = now;
    if (!std::exchange(is_full_, true)) {
      spdlog::warn("the store takes no new jobs: {}{}", shortage_of(space),
                   space.may_begin() ? "" : ". Queued jobs wait too: store.reserve is in use");
    }
  } else if (is_full_ && now - full_at_ >= full_for) {
    is_full_ = false;
    spdlog::info("the store takes new jobs again");
  }
}

void Server::tell_of_expiries() {
  const auto now = jobs::system_clock().now();
  if (now < tell_expiries_at_) return;
  tell_expiries_at_ = now + tell_expiries_every;
  generation_->site().tls().log_expiries(jobs::system_clock().wall_now());
}

void Server::begin_drain() {
  draining_ = true;
  const auto delay = status_ == 0 ? config().shutdown.delay : milliseconds(0);
  service_manager::tell_stopping();
  service_manager::tell_busy("about to drain", delay + drain_step_time);
  drain_until_ = jobs::system_clock().now() + delay + config().shutdown.grace_period;
  timer_.expires_after(delay);
  timer_.async_wait([this](boost::system::error_code) {
    for (const auto& shard : shards_) shard->begin_drain();
    poll_drain();
  });
}

void Server::tell_drain() {
  const auto now = jobs::system_clock().now();
  if (now < tell_drain_at_) return;
  tell_drain_at_ = now + tell_every;
  const std::uint32_t calls = known_.calls();
  service_manager::tell_busy(fmt::format("draining, {} calls in flight", calls), drain_step_time);
}

void Server::poll_drain() {
  tell_drain();
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
      (void)close_logs();
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
  service_manager::tell_busy("closing the store", step_time);
  for (const auto& shard : shards_) shard->stop();
  for (const auto& shard : shards_) shard->join();
  shards_.clear();
  generation_.reset();
  store_.reset();
  spdlog::info("stopped");
  // Whatever waits for this context still, such as slots held over from an earlier process, is
  // over.
  io_.stop();
}

}  // namespace raincheck::proxy
