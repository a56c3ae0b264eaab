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
constexpr milliseconds give_back_every{50};  // while there is much room to give back
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
  Listening(asio::io_context& io, std::string known_by, ListeningSocket of)
      : key(std::move(known_by)), socket(io, of.socket.release()), file(std::move(of.file)) {}

  const std::string key;
  asio::posix::basic_stream_descriptor<Executor> socket;
  SocketFile file;
  std::size_t listener = 0;  // in the configuration that serves
};

// A session is known and counted as long as its coroutine lives, however that ends.
struct Shard::OpenSession {
  OpenSession(Shard& of, Session& opened, std::string at, std::shared_ptr<ConnectionCounts> in)
      : shard(of), session(opened), listener_key(std::move(at)), counts(std::move(in)) {
    shard.sessions_.insert(this);
  }
  ~OpenSession() {
    shard.sessions_.erase(this);
    counts->remove(client);
  }
  OpenSession(const OpenSession&) = delete;
  OpenSession& operator=(const OpenSession&) = delete;

  Shard& shard;
  Session& session;
  const std::string listener_key;
  const std::shared_ptr<ConnectionCounts> counts;
  std::string client;  // as it is counted
};

Shard::Shard(std::size_t index, std::size_t count, const Shared& shared)
    : index_(index),
      count_(count),
      timers_(jobs::system_clock()),
      readiness_(io_),
      store_(shared.store, io_),
      bulletin_(io_, timers_),
      codec_(shared.secret),
      housekeeping_(io_, timers_),
      tasks_(io_, timers_),
      parts_{ShardResources{io_, timers_, readiness_, buffers_, store_, codec_, shared.bodies,
                            warnings_},
             shared.metrics,
             bulletin_,
             entropy_,
             shared.pending,
             tasks_,
             shared.access_logger,
             shared.secret,
             index,
             draining_,
             {},
             [this](std::size_t upstream) { return owns(upstream); },
             [this](std::size_t upstream, ShardParts::DispatcherCall call) {
               tell(upstream, std::move(call));
             }},
      prune_pause_(io_, timers_),
      counts_pause_(io_, timers_) {}

Shard::~Shard() = default;

void Shard::connect(const std::vector<std::unique_ptr<Shard>>& all) {
  all_ = &all;
  std::vector<Bulletin*> others;
  for (const auto& shard : all) {
    if (shard.get() != this) others.push_back(&shard->bulletin_);
  }
  bulletin_.set_others(std::move(others));
  parts_.abort_everywhere = [&all](std::int64_t key) {
    for (const auto& shard : all) {
      shard->post([shard = shard.get(), key] { shard->abort_job(key); });
    }
  };
}

// All that may have something under way. Without a list of them: slots that come free come by here.
template <class F>
void Shard::for_each_generation(F call) const {
  for (const auto& each : retired_) call(*each);
  if (current_) call(*current_);
  // The dispatchers start jobs with it already.
  if (prepared_) call(*prepared_);
}

void Shard::abort_job(std::int64_t key) {
  for_each_generation([key](ShardGeneration& each) { each.abort(key); });
}

void Shard::tell(std::size_t upstream, ShardParts::DispatcherCall call) {
  Shard& owner = *(*all_)[upstream % count_];
  // On the owner itself a message would only be slower.
  if (&owner == this) {
    call(*dispatchers_[upstream]);
  } else {
    owner.post([&owner, upstream, call = std::move(call)] { call(*owner.dispatchers_[upstream]); });
  }
}

void Shard::prepare(std::shared_ptr<const Generation> generation) {
  prepared_ = std::make_shared<ShardGeneration>(parts_, std::move(generation));
  configure_dispatchers(prepared_->generation(), *prepared_);
}

void Shard::configure_dispatchers(const Generation& generation, ShardGeneration& serving) {
  for (std::size_t number = 0; number < dispatchers_.size(); ++number) {
    if (dispatchers_[number] && !generation.find(number))
      dispatchers_[number]->remove(generation.site());
  }
  for (std::size_t i = 0; i < generation.upstreams().size(); ++i) {
    const Generation::Upstream& upstream = generation.upstreams()[i];
    if (!owns(upstream.number)) continue;
    if (dispatchers_.size() <= upstream.number) dispatchers_.resize(upstream.number + 1);
    std::unique_ptr<Dispatcher>& dispatcher = dispatchers_[upstream.number];
    const bool is_new = !dispatcher;
    if (is_new) {
      dispatcher = make_dispatcher(generation.site().config().upstreams[i].name, *upstream.slots);
    }
    dispatcher->configure(generation.site(), i, serving.runner(i));
    if (is_new) tasks_.spawn(dispatcher->run());
  }
}

std::unique_ptr<Dispatcher> Shard::make_dispatcher(const std::string& name, Slots& slots) {
  const auto ended = [this](const jobs::Place& place, std::string_view route,
                            jobs::ErrorType error) {
    // At the start, there is none that serves yet.
    ShardGeneration& serving = prepared_ ? *prepared_ : *current_;
    serving.metrics().finished(serving.generation().site().find(route), jobs::State::failed, error);
    parts_.pending.count.fetch_sub(1, std::memory_order_relaxed);
    bulletin_.publish(JobChange{place.key(), true});
  };
  const auto tell = [this](std::size_t upstream, std::uint32_t lane, jobs::WallTime due) {
    const ShardGeneration& serving = prepared_ ? *prepared_ : *current_;
    this->tell(serving.generation().upstreams()[upstream].number,
               [lane, due](Dispatcher& dispatcher) { dispatcher.requeued(lane, due); });
  };
  return std::make_unique<Dispatcher>(parts_.resources, parts_.metrics, tasks_, name, slots, ended,
                                      tell, index_);
}

void Shard::serve_prepared(Sockets sockets) {
  for (const auto& dispatcher : dispatchers_) {
    if (dispatcher) dispatcher->hand_over();
  }
  const Generation& generation = prepared_->generation();
  const std::size_t listeners = generation.site().config().listeners.size();
  std::erase_if(listening_, [&](const auto& each) {
    const bool is_gone = generation.find_listener(each->key) == listeners;
    if (is_gone) close(*each);
    return is_gone;
  });
  if (current_) {
    current_->retire();
    retired_.push_back(std::move(current_));
  }
  current_ = std::move(prepared_);
  current_->begin();
  for (const auto& each : listening_) each->listener = generation.find_listener(each->key);
  for (auto& [key, socket] : sockets) {
    listening_.push_back(std::make_shared<Listening>(io_, key, std::move(socket)));
    listening_.back()->listener = generation.find_listener(key);
    wait_to_accept(listening_.back());
  }
  for (OpenSession* const each : sessions_) pass_on(*each);
}

// A client of a listener that is gone gets the answer that it waits for, and no other.
void Shard::pass_on(OpenSession& open) {
  const Generation& generation = current_->generation();
  const auto& listeners = generation.site().config().listeners;
  const std::size_t listener = generation.find_listener(open.listener_key);
  if (listener == listeners.size()) {
    open.session.drain();
  } else {
    open.session.pass_to({current_, &current_->serving()}, listeners[listener]);
  }
}

// Those of which nothing is under way any more.
void Shard::drop_retired() {
  std::erase_if(retired_,
                [](const auto& each) { return each.use_count() == 1 && each->is_idle(); });
}

void Shard::start() {
  loop_at_ = timers_.now();
  if (index_ == 0) store_at_ = timers_.now();
  work_.emplace(io_.get_executor());
  timers_.start(io_);
  if (index_ == 0) housekeeping_.spawn(prune());
  housekeeping_.spawn(watch_counts());
  thread_ = std::thread([this] { io_.run(); });
}

void Shard::wake(std::size_t upstream) {
  post([this, upstream] {
    // Who holds a client's connection goes first: a job can wait.
    for_each_generation([upstream](ShardGeneration& each) { each.wake(upstream); });
    if (owns(upstream)) dispatchers_[upstream]->wake();
  });
}

void Shard::resume(std::size_t upstream, jobs::Job job) {
  post([this, upstream, job = std::move(job)]() mutable {
    current_->runner(upstream).start(std::move(job));
  });
}

void Shard::post(std::function<void()> call) {
  asio::post(io_, std::move(call));
}

void Shard::wait_to_accept(const std::shared_ptr<Listening>& listening) {
  if (draining_ || !listening->socket.is_open()) return;
  listening->socket.async_wait(asio::posix::descriptor_base::wait_read,
                               [this, listening](boost::system::error_code error) {
                                 if (error || draining_ || !listening->socket.is_open()) return;
                                 if (accept(*listening, accepts_max)) {
                                   wait_to_accept(listening);
                                 } else {
                                   timers_.at(timers_.now() + accept_again,
                                              [this, listening] { wait_to_accept(listening); });
                                 }
                               });
}

// False: the system can give no more connections at the moment.
bool Shard::accept(Listening& listening, int count_max) {
  for (int i = 0; i < count_max; ++i) {
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

// Whoever waits to be accepted would be cut off with the socket: each has its one request, too.
void Shard::close(Listening& listening) {
  listening.file.remove();
  accept(listening, listen_backlog);
  boost::system::error_code ignored;
  listening.socket.close(ignored);
}

void Shard::take(Descriptor socket, std::size_t listener) {
  std::string peer = peer_address(socket.get());
  const Generation& generation = current_->generation();
  const bool is_proxied = generation.site().config().listeners[listener].is_proxied();
  if (!generation.connections(listener)->add(is_proxied ? std::string() : peer)) {
    // Over TLS it could not be read.
    if (generation.site().tls().of_listener(listener)) return;
    ::send(socket.get(), too_many_connections.data(), too_many_connections.size(),
           MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  tasks_.spawn(serve(std::move(socket), listener, std::move(peer)));
}

awaitable<void> Shard::serve(Descriptor socket, std::size_t listener, std::string peer) {
  // A connection begins under one configuration, whatever serves by the time that it has.
  std::shared_ptr<ShardGeneration> begun = current_;
  const Generation& generation = begun->generation();
  const config::Listener& at = generation.site().config().listeners[listener];
  const bool is_proxied = at.is_proxied();
  Session session({begun, &begun->serving()}, at, std::move(socket), peer);
  OpenSession open(*this, session, generation.listener_key(listener),
                   generation.connections(listener));
  if (is_proxied) {
    const bool named = co_await session.read_proxy_header();
    if (!named) co_return;
    if (!open.counts->name(session.peer())) {
      session.refuse(too_many_connections);
      co_return;
    }
    peer = session.peer();
  }
  open.client = std::move(peer);
  if (const ServerTls* const tls = generation.site().tls().of_listener(listener)) {
    const bool is_safe = co_await session.begin_tls(*tls);
    if (!is_safe) co_return;
  }
  begun.reset();
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
    if (pruned && pruned->count == prune_count) continue;
    const milliseconds pause = pruned && pruned->more ? give_back_every : prune_every;
    co_await prune_pause_.wait(timers_.now() + pause);
  }
}

// Keeps what other threads may ask about this shard.
awaitable<void> Shard::watch_counts() {
  while (!stopping_) {
    std::size_t running = 0;
    for_each_generation([&running](ShardGeneration& each) { running += each.running(); });
    running_ = running;
    drop_retired();
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
    for (const auto& listening : listening_) close(*listening);
    for (const auto& dispatcher : dispatchers_) {
      if (dispatcher) dispatcher->stop();
    }
    if (current_) current_->retire();
    for_each_generation([](ShardGeneration& each) { each.drain(); });
    for (OpenSession* const each : sessions_) each->session.drain();
    bulletin_.release_waiters();
    counts_pause_.notify();
    drain_begun_ = true;
  });
}

void Shard::abort_all() {
  post([this] {
    for_each_generation([](ShardGeneration& each) { each.stop(); });
    for (const auto& dispatcher : dispatchers_) {
      if (dispatcher) dispatcher->abort();
    }
    for (OpenSession* const each : sessions_) each->session.abort();
    counts_pause_.notify();
  });
}

void Shard::pauses_changed() {
  post([this] {
    for (const auto& dispatcher : dispatchers_) {
      if (dispatcher) dispatcher->pauses_changed();
    }
  });
}

void Shard::operate(Work work) {
  post([this, work = std::move(work)] {
    Services& services = current_->serving().services;
    services.tasks.spawn(work(services));
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
