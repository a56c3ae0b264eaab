#include "proxy/shard.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>

namespace raincheck::proxy {

namespace asio = boost::asio;
using jobs::milliseconds;

namespace {

constexpr milliseconds prune_every{1000};
constexpr std::uint32_t prune_count = 256;
constexpr milliseconds count_every{50};
constexpr milliseconds progress_every{250};
constexpr milliseconds accept_again{100};
// Connections taken at one wake-up, so that a flood of them does not starve the others.
constexpr int accepts_max = 64;

constexpr std::string_view too_many_connections =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    "Connection: close\r\n\r\n";

}  // namespace

// A socket that listens, on this shard.
struct Shard::Listening {
  Listening(asio::io_context& io, Descriptor of, std::size_t index)
      : socket(io, of.release()), listener(index) {}

  asio::posix::basic_stream_descriptor<Executor> socket;
  const std::size_t listener;
};

bool ConnectionCounts::add(const std::string& client) {
  const std::lock_guard lock(mutex_);
  if (all_ >= limits_.connections) return false;
  if (!client.empty() && !add_to(client)) return false;
  ++all_;
  return true;
}

bool ConnectionCounts::name(const std::string& client) {
  const std::lock_guard lock(mutex_);
  return add_to(client);
}

bool ConnectionCounts::add_to(const std::string& client) {
  std::uint32_t& of_client = by_client_[client];
  if (of_client >= limits_.connections_per_client) return false;
  ++of_client;
  return true;
}

void ConnectionCounts::remove(const std::string& client) {
  const std::lock_guard lock(mutex_);
  --all_;
  if (client.empty()) return;
  const auto found = by_client_.find(client);
  if (--found->second == 0) by_client_.erase(found);
}

std::uint32_t ConnectionCounts::open() {
  const std::lock_guard lock(mutex_);
  return all_;
}

Shard::Shard(std::size_t index, std::size_t count, Shared shared)
    : index_(index),
      count_(count),
      shared_(std::move(shared)),
      timers_(jobs::system_clock()),
      readiness_(io_),
      metrics_(shared_.metrics, index, shared_.site),
      store_(shared_.store, io_),
      bulletin_(io_, timers_, shared_.site.routes().size()),
      log_(shared_.site.config().access_log, shared_.access_logger, shared_.secret),
      codec_(shared_.secret),
      housekeeping_(io_, timers_),
      tasks_(io_, timers_),
      upstreams_(shared_.site.config().upstreams.size()),
      dispatchers_(upstreams_.size()),
      services_{ShardContext{io_, timers_, readiness_, buffers_, store_, codec_, shared_.bodies,
                             warnings_, metrics_},
                shared_.site,
                tasks_,
                bulletin_,
                log_,
                entropy_,
                shared_.pending,
                upstreams_,
                {},
                draining_},
      transactions_(services_),
      prune_pause_(io_, timers_),
      counts_pause_(io_, timers_) {}

Shard::~Shard() = default;

void Shard::connect(const std::vector<std::unique_ptr<Shard>>& all) {
  std::vector<Bulletin*> others;
  for (const auto& shard : all) {
    if (shard.get() != this) others.push_back(&shard->bulletin_);
  }
  bulletin_.set_others(std::move(others));
  services_.abort_everywhere = [&all](std::int64_t key) {
    for (const auto& shard : all) {
      asio::post(shard->io_, [shard = shard.get(), key] {
        for (ShardUpstream& upstream : shard->upstreams_) upstream.runner->abort(key);
      });
    }
  };
  for (std::size_t upstream = 0; upstream < upstreams_.size(); ++upstream) {
    make_upstream(upstream, all);
  }
}

void Shard::make_upstream(std::size_t index, const std::vector<std::unique_ptr<Shard>>& all) {
  ShardUpstream& upstream = upstreams_[index];
  Shard& owner = *all[index % count_];
  upstream.config = &shared_.site.config().upstreams[index];
  upstream.slots = shared_.slots[index].get();
  upstream.queue = std::make_unique<SlotQueue>(io_, timers_, *upstream.slots, index_);
  upstream.pool =
      std::make_unique<UpstreamPool>(services_.context, *upstream.config,
                                     shared_.server_slots[index], *shared_.outliers[index], index_);
  upstream.runner =
      std::make_unique<Runner>(services_.context, shared_.site, *upstream.config, *upstream.pool,
                               *upstream.slots, tasks_, bulletin_, log_, events_for(index, owner));
  if (&owner == this) {
    dispatchers_[index] = std::make_unique<Dispatcher>(services_.context, shared_.site, index,
                                                       *upstream.slots, *upstream.runner, index_);
    upstream.inserted = [this, index](std::uint32_t lane) { dispatchers_[index]->inserted(lane); };
    make_checks(index);
  } else {
    upstream.inserted = [&owner, index](std::uint32_t lane) {
      asio::post(owner.io_, [&owner, index, lane] { owner.dispatchers_[index]->inserted(lane); });
    };
  }
}

void Shard::make_checks(std::size_t index) {
  const ShardUpstream& upstream = upstreams_[index];
  if (upstream.config->health_check.path.empty()) return;
  const jobs::Random random = entropy_.random();
  const std::uint32_t seed = std::uint32_t{random[0]} << 8 | random[1];
  checks_.push_back(
      std::make_unique<HealthChecks>(io_, timers_, *upstream.config, shared_.server_slots[index],
                                     std::make_unique<PoolProbe>(*upstream.pool), seed,
                                     [this, index] { dispatchers_[index]->recovered(); }));
}

RunnerEvents Shard::events_for(std::size_t index, Shard& owner) {
  // On the owner itself a message would only be slower.
  const auto tell = [this, &owner, index](auto call) {
    if (&owner == this) {
      call(*dispatchers_[index]);
    } else {
      asio::post(owner.io_, [&owner, index, call] { call(*owner.dispatchers_[index]); });
    }
  };
  RunnerEvents events;
  events.requeued = [tell](std::uint32_t lane, jobs::WallTime due) {
    tell([lane, due](Dispatcher& dispatcher) { dispatcher.requeued(lane, due); });
  };
  events.unavailable = [tell](milliseconds hold) {
    tell([hold](Dispatcher& dispatcher) { dispatcher.unavailable(hold); });
  };
  Slots* const slots = shared_.slots[index].get();
  events.available = [tell, slots] {
    if (slots->held()) tell([](Dispatcher& dispatcher) { dispatcher.available(); });
  };
  events.skipped = [tell, slots] {
    if (slots->held()) tell([](Dispatcher& dispatcher) { dispatcher.skipped(); });
  };
  events.finished = [this] { shared_.pending.count.fetch_sub(1, std::memory_order_relaxed); };
  return events;
}

void Shard::add_listener(std::size_t listener, Descriptor socket) {
  listening_.push_back(std::make_unique<Listening>(io_, std::move(socket), listener));
}

void Shard::start() {
  loop_at_ = timers_.now();
  if (index_ == 0) store_at_ = timers_.now();
  work_.emplace(io_.get_executor());
  timers_.start(io_);
  for (const auto& dispatcher : dispatchers_) {
    if (dispatcher) tasks_.spawn(dispatcher->run());
  }
  for (const auto& checks : checks_) checks->start(tasks_);
  for (const auto& listening : listening_) wait_to_accept(*listening);
  if (index_ == 0) housekeeping_.spawn(prune());
  housekeeping_.spawn(watch_counts());
  thread_ = std::thread([this] { io_.run(); });
}

void Shard::wake(std::size_t upstream) {
  post([this, upstream] {
    // Who holds a client's connection goes first: a job can wait.
    upstreams_[upstream].queue->wake();
    upstreams_[upstream].pool->wake();
    if (dispatchers_[upstream]) dispatchers_[upstream]->wake();
  });
}

void Shard::resume(std::size_t upstream, jobs::Job job) {
  post([this, upstream, job = std::move(job)]() mutable {
    upstreams_[upstream].runner->start(std::move(job));
  });
}

void Shard::post(std::function<void()> call) {
  asio::post(io_, std::move(call));
}

void Shard::wait_to_accept(Listening& listening) {
  listening.socket.async_wait(asio::posix::descriptor_base::wait_read,
                              [this, &listening](boost::system::error_code error) {
                                if (error || draining_) return;
                                if (accept(listening)) {
                                  wait_to_accept(listening);
                                  return;
                                }
                                timers_.at(timers_.now() + accept_again, [this, &listening] {
                                  if (!draining_) wait_to_accept(listening);
                                });
                              });
}

// False: the system can give no more connections at the moment.
bool Shard::accept(Listening& listening) {
  for (int i = 0; i < accepts_max; ++i) {
    Descriptor socket(::accept4(listening.socket.native_handle(), nullptr, nullptr,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      take(std::move(socket), listening.listener);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      spdlog::warn("no connection can be accepted at the moment: {}", std::strerror(errno));
      return false;
    }
    break;
  }
  return true;
}

void Shard::take(Descriptor socket, std::size_t listener) {
  std::string peer = peer_address(socket.get());
  if (!shared_.connections[listener]->add(is_proxied(listener) ? std::string() : peer)) {
    ::send(socket.get(), too_many_connections.data(), too_many_connections.size(),
           MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  tasks_.spawn(serve(std::move(socket), listener, std::move(peer)));
}

bool Shard::is_proxied(std::size_t listener) const {
  return shared_.site.config().listeners[listener].proxy_protocol != config::ProxyProtocol::none;
}

// A session is known and counted as long as its coroutine lives, however that ends.
struct Shard::OpenSession {
  OpenSession(Shard& of, Session& opened, ConnectionCounts& in)
      : shard(of), session(opened), counts(in) {
    shard.sessions_.insert(&session);
  }
  ~OpenSession() {
    shard.sessions_.erase(&session);
    counts.remove(client);
  }
  OpenSession(const OpenSession&) = delete;
  OpenSession& operator=(const OpenSession&) = delete;

  Shard& shard;
  Session& session;
  ConnectionCounts& counts;
  std::string client;  // as it is counted
};

awaitable<void> Shard::serve(Descriptor socket, std::size_t listener, std::string peer) {
  Session session(services_, transactions_, shared_.site.config().listeners[listener],
                  std::move(socket), peer);
  OpenSession open(*this, session, *shared_.connections[listener]);
  if (is_proxied(listener)) {
    const bool named = co_await session.read_proxy_header();
    if (!named) co_return;
    if (!open.counts.name(session.peer())) {
      session.refuse(too_many_connections);
      co_return;
    }
    peer = session.peer();
  }
  open.client = std::move(peer);
  co_await session.run();
}

// Erases what is past its retention, a little at a time so that no commit is held up for long.
awaitable<void> Shard::prune() {
  while (!stopping_) {
    store::Prune command;
    command.now = timers_.wall_now();
    command.count_max = prune_count;
    const auto pruned = co_await store_.apply(command);
    const bool was_answered = pruned || pruned.error().fault == jobs::Fault::store_full;
    if (was_answered) store_at_ = timers_.now();
    if (stopping_) co_return;
    if (!pruned || pruned->count < prune_count) {
      co_await prune_pause_.wait(timers_.now() + prune_every);
    }
  }
}

// Keeps what other threads may ask about this shard.
awaitable<void> Shard::watch_counts() {
  while (!stopping_) {
    std::size_t running = 0;
    for (const ShardUpstream& upstream : upstreams_) running += upstream.runner->running();
    running_ = running;
    watch_progress();
    co_await counts_pause_.wait(timers_.now() + count_every);
  }
}

// A dispatcher without news goes round because of this, and tells that it is not stuck.
void Shard::watch_progress() {
  const TimePoint now = timers_.now();
  if (loop_at_.load() != never && now - loop_at_.load() < progress_every) return;
  loop_at_ = now;
  TimePoint behind = never;
  for (const auto& dispatcher : dispatchers_) {
    if (!dispatcher || draining_) continue;
    behind = std::min(behind, dispatcher->went_round_at());
    dispatcher->publish();
    dispatcher->wake();
  }
  dispatchers_at_ = behind;
}

void Shard::begin_drain() {
  post([this] {
    draining_ = true;
    for (const auto& listening : listening_) {
      boost::system::error_code ignored;
      listening->socket.close(ignored);
    }
    for (const auto& dispatcher : dispatchers_) {
      if (dispatcher) dispatcher->stop();
    }
    for (const auto& checks : checks_) checks->stop();
    for (ShardUpstream& upstream : upstreams_) upstream.runner->drain();
    for (Session* const session : sessions_) session->drain();
    bulletin_.release_waiters();
    counts_pause_.notify();
    drain_begun_ = true;
  });
}

void Shard::abort_all() {
  post([this] {
    for (ShardUpstream& upstream : upstreams_) {
      upstream.runner->stop();
      upstream.pool->stop();
    }
    for (Session* const session : sessions_) session->abort();
    counts_pause_.notify();
  });
}

void Shard::stop() {
  post([this] {
    stopping_ = true;
    prune_pause_.notify();
    counts_pause_.notify();
    timers_.stop();
    readiness_.stop();
    work_.reset();
  });
}

void Shard::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace raincheck::proxy
