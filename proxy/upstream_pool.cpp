#include "proxy/upstream_pool.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/exchange.hpp"

namespace raincheck::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;
using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

// Names are looked up again after this long, so that a backend may move.
constexpr std::chrono::seconds resolved_for{30};
// A request that must not be sent twice takes no connection that was idle for longer: the backend
// may be closing it.
constexpr std::chrono::seconds recent_for{1};
constexpr std::chrono::seconds close_idle_every{1};
// A server that took no connection is asked again after this long, or when there is no other.
constexpr std::chrono::seconds passed_over_for{10};

}  // namespace

// In which order servers are asked.
enum class UpstreamPool::Rank { good, passed_over, ejected, down };

struct UpstreamPool::Choice {
  Site* site = nullptr;
  bool may_wait = false;  // no site, but one may have room later
};

// One server: its addresses and its idle connections, the last used at the back.
struct UpstreamPool::Site {
  Site(const config::Server& of, std::size_t at, Slots& shared)
      : server(of), index(at), slots(shared) {}

  bool has_room() const { return slots.taken() < slots.max(); }

  const config::Server& server;
  const std::size_t index;
  Slots& slots;
  TimePoint passed_over_until{};
  std::vector<Endpoint> endpoints;
  TimePoint resolved_at{};
  std::vector<std::unique_ptr<UpstreamConnection>> idle;
  OpensslPtr<SSL_SESSION> session;  // of TLS, for the next connection; null: none yet
};

// One question to the resolver.
struct UpstreamPool::Lookup {
  explicit Lookup(ShardContext& context)
      : resolver(context.io.get_executor()), done(context.io, context.timers) {}

  asio::ip::basic_resolver<tcp, Executor> resolver;
  Signal done;
  boost::system::error_code error;
  tcp::resolver::results_type results;
  bool waited_for = true;
};

UpstreamPool::UpstreamPool(ShardContext context,
                           const config::Upstream& upstream,
                           const ClientTls* tls,
                           const ServerSlots& slots,
                           Outliers& outliers,
                           std::size_t shard)
    : context_(context),
      upstream_(upstream),
      tls_(tls),
      outliers_(outliers),
      shard_(shard),
      pinned_(std::make_shared<IdlePinned>(upstream.max_concurrency)) {
  for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
    const config::Server& server = upstream.servers[i];
    sites_.push_back(std::make_unique<Site>(server, i, *slots[i]));
    states_.push_back(ServerState{server.weight, hash_text(server.authority)});
  }
}

UpstreamPool::~UpstreamPool() {
  if (closing_) context_.timers.cancel(*closing_);
  pinned_->close_all();
}

std::unique_ptr<Exchange> UpstreamPool::open(const Call& call) {
  return std::make_unique<PoolExchange>(*this, call);
}

awaitable<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::acquire(
    Reuse reuse,
    TimePoint deadline,
    std::optional<std::uint64_t> key,
    AbortRequest& abort,
    std::string_view server) {
  Result<std::unique_ptr<UpstreamConnection>> result =
      Error(Fault::upstream_timeout, "waiting for a server that is not at its limit");
  std::vector<Site*> tried = all_but(server);
  const std::size_t untouched = tried.size();
  while (!abort.requested && !stopping_ && context_.timers.now() < deadline) {
    const Choice choice = choose(tried, key);
    Site* const site = choice.site;
    if (!site && !choice.may_wait) {
      if (tried.size() == untouched) result = Error(Fault::upstream_unreachable, "no server is up");
      break;
    }
    if (!site) {
      co_await wait_for_room(tried, deadline, abort);
      continue;
    }
    // Another shard may have been faster.
    if (!site->slots.try_take()) continue;
    Slot slot(&site->slots);
    std::unique_ptr<UpstreamConnection> idle;
    if (reuse != Reuse::none) idle = take_idle(*site, reuse);
    if (idle) {
      result = std::move(idle);
    } else {
      result = co_await connect(*site, deadline, abort);
    }
    if (result) {
      site->passed_over_until = {};
      (*result)->slot = std::move(slot);
      break;
    }
    tried.push_back(site);
    if (result.error().fault == Fault::upstream_unreachable && !abort.requested) {
      site->passed_over_until = context_.timers.now() + passed_over_for;
      // A deadline that was nearly over says nothing of the server.
      if (context_.timers.now() < deadline) failed(*site, result.error().detail);
    }
  }
  co_return result;
}

awaitable<bool> UpstreamPool::claim(UpstreamConnection& connection,
                                    TimePoint deadline,
                                    AbortRequest& abort) {
  Site& site = site_of(connection);
  const std::vector<Site*> others = all_but(site.server.authority);
  while (!abort.requested && !stopping_ && context_.timers.now() < deadline) {
    if (site.slots.try_take()) {
      connection.slot = Slot(&site.slots);
      co_return true;
    }
    co_await wait_for_room(others, deadline, abort);
  }
  co_return false;
}

// Of the servers that were not tried, are up and have room: those that took their last connection
// first, and one that is ejected only when no other took one.
UpstreamPool::Choice UpstreamPool::choose(const std::vector<Site*>& tried,
                                          std::optional<std::uint64_t> key) {
  const TimePoint now = context_.timers.now();
  Choice choice;
  for (const Rank rank : {Rank::good, Rank::passed_over, Rank::ejected}) {
    if (rank == Rank::ejected && choice.may_wait) break;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      Site& site = *sites_[i];
      const bool is_asked =
          rank_of(site, now) == rank && std::find(tried.begin(), tried.end(), &site) == tried.end();
      states_[i].usable = is_asked && site.has_room();
      states_[i].calls = site.slots.taken();
      states_[i].weight = weight_of(site, now);
      choice.may_wait = choice.may_wait || is_asked;
    }
    const auto next = choose_server(upstream_.lb_policy, states_, key);
    if (!next) continue;
    choice.site = sites_[*next].get();
    break;
  }
  return choice;
}

// Who may not be asked in place of `server`; nobody, if that is not configured.
std::vector<UpstreamPool::Site*> UpstreamPool::all_but(std::string_view server) const {
  std::vector<Site*> others;
  if (server.empty()) return others;
  for (const auto& site : sites_) {
    if (site->server.authority != server) others.push_back(site.get());
  }
  if (others.size() == sites_.size()) others.clear();
  return others;
}

UpstreamPool::Rank UpstreamPool::rank_of(const Site& site, TimePoint now) {
  if (site.slots.held()) return Rank::down;
  if (outliers_.is_ejected(site.index, now)) return Rank::ejected;
  if (outliers_.has_returned(site.index, now)) {
    spdlog::info("upstream {}: server {} is called again", upstream_.name, site.server.authority);
  }
  // A check has found it up since: its calls begin again, slowly if that is asked for.
  const bool is_back = site.slots.back_at() > site.passed_over_until - passed_over_for;
  return site.passed_over_until > now && !is_back ? Rank::passed_over : Rank::good;
}

std::uint32_t UpstreamPool::weight_of(const Site& site, TimePoint now) const {
  const TimePoint back_at = std::max(site.slots.back_at(), outliers_.returns_at(site.index));
  return slow_start_weight(site.server.weight, now - back_at, upstream_.slow_start);
}

void UpstreamPool::judge(UpstreamConnection& connection, const Result<void>& answered) {
  std::optional<Fault> fault;
  if (!answered) fault = answered.error().fault;
  // A deadline that passed aborts too, but is told as what it is.
  const bool is_given_up = connection.connection().aborted() && fault != Fault::upstream_timeout;
  const bool was_idle_too_long =
      fault == Fault::upstream_lost && connection.reused && !connection.answered();
  if (is_given_up || was_idle_too_long) return;
  Site& site = site_of(connection);
  const int status = answered ? connection.head().status : 0;
  switch (verdict_of(fault, status)) {
    case Verdict::good:
      outliers_.succeeded(site.index);
      break;
    case Verdict::bad:
      failed(site, fault ? answered.error().detail : fmt::format("status {}", status));
      break;
    case Verdict::nothing:
      break;
  }
}

void UpstreamPool::failed(const Site& site, std::string_view why) {
  const auto ejected = outliers_.failed(site.index, context_.timers.now());
  if (!ejected) return;
  context_.metrics.ejected(upstream_, site.index);
  spdlog::warn(
      "upstream {}: server {} is ejected for {} ms: {} calls failed in a row, the last by: {}",
      upstream_.name, site.server.authority, ejected->count(),
      upstream_.outlier_detection.consecutive_errors, why);
}

UpstreamPool::Site& UpstreamPool::site_of(const UpstreamConnection& connection) {
  return *sites_[static_cast<std::size_t>(&connection.server() - upstream_.servers.data())];
}

// `tried` is who took no connection: room there is of no use.
awaitable<void> UpstreamPool::wait_for_room(const std::vector<Site*>& tried,
                                            TimePoint deadline,
                                            AbortRequest& abort) {
  Signal signal(context_.io, context_.timers);
  const auto place = waiting_.insert(waiting_.end(), &signal);
  abort.end = [&signal] { signal.notify(); };
  for (const auto& site : sites_) {
    if (std::find(tried.begin(), tried.end(), site.get()) != tried.end()) continue;
    if (outliers_.is_ejected(site->index, context_.timers.now())) {
      deadline = std::min(deadline, outliers_.returns_at(site->index));
      continue;
    }
    site->slots.want(shard_);
    // Given back, or up, before it was known that we want it.
    if (site->has_room() && !site->slots.held()) signal.notify();
  }
  co_await signal.wait(deadline);
  abort.end = nullptr;
  waiting_.erase(place);
}

void UpstreamPool::wake() {
  for (Signal* const signal : waiting_) signal->notify();
}

awaitable<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::dial(std::size_t server,
                                                                          TimePoint deadline,
                                                                          AbortRequest& abort) {
  return connect(*sites_[server], deadline, abort);
}

std::unique_ptr<UpstreamConnection> UpstreamPool::take_idle(Site& site, Reuse reuse) {
  while (!site.idle.empty()) {
    std::unique_ptr<UpstreamConnection>& last = site.idle.back();
    if (reuse == Reuse::recent && last->idle_since + recent_for < context_.timers.now()) {
      return nullptr;
    }
    std::unique_ptr<UpstreamConnection> connection = std::move(last);
    site.idle.pop_back();
    if (!connection->is_fit(context_.timers.now())) continue;
    connection->reused = true;
    connection->begin();
    return connection;
  }
  return nullptr;
}

awaitable<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::connect(Site& site,
                                                                             TimePoint deadline,
                                                                             AbortRequest& abort) {
  deadline = std::min(deadline, context_.timers.now() + upstream_.timeouts.connect);
  const Result<std::vector<Endpoint>> endpoints = co_await resolve(site, deadline, abort);
  if (!endpoints) co_return endpoints.error();
  std::string why = "no address";
  for (const Endpoint& endpoint : *endpoints) {
    if (abort.requested) break;
    Descriptor socket(
        ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket)
      co_return Error(Fault::overloaded, fmt::format("no socket: {}", std::strerror(errno)));
    set_options(socket.get());
    auto connection =
        std::make_unique<UpstreamConnection>(std::move(socket), context_.timers, context_.readiness,
                                             context_.buffers, upstream_, site.server);
    abort.end = [&connection] { connection->connection().abort(); };
    why = co_await reach(site, connection->connection(), endpoint, deadline);
    abort.end = nullptr;
    if (why.empty()) {
      connection->begin();
      co_return connection;
    }
  }
  site.resolved_at = {};
  co_return Error(Fault::upstream_unreachable,
                  fmt::format("connecting to {}: {}", site.server.authority, why));
}

// Connects, with TLS where the server has it. Empty: done; else why not.
awaitable<std::string> UpstreamPool::reach(Site& site,
                                           Connection& connection,
                                           const Endpoint& endpoint,
                                           TimePoint deadline) {
  const Io connected = co_await connection.connect(
      endpoint.data(), static_cast<socklen_t>(endpoint.size()), deadline);
  if (connected == Io::timeout) co_return "timeout";
  if (connected != Io::ok) co_return "refused or unreachable";
  if (!site.server.is_tls) co_return "";
  connection.begin_tls(tls_->connect(site.server, site.session.get()));
  const Io secured = co_await connection.shake_hands(deadline);
  if (secured == Io::ok) co_return "";
  site.session.reset();
  if (secured == Io::timeout) co_return "timeout in the TLS handshake";
  if (connection.aborted()) co_return "given up";
  co_return connection.tls()->why();
}

awaitable<Result<std::vector<UpstreamPool::Endpoint>>> UpstreamPool::resolve(Site& site,
                                                                             TimePoint deadline,
                                                                             AbortRequest& abort) {
  const TimePoint now = context_.timers.now();
  if (!site.endpoints.empty() && now - site.resolved_at < resolved_for) co_return site.endpoints;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(site.server.host, error);
  if (!error) {
    site.endpoints = {Endpoint(tcp::endpoint(address, site.server.port))};
    site.resolved_at = now;
    co_return site.endpoints;
  }
  // getaddrinfo() cannot be ended: a lookup that takes too long is left behind and owns itself.
  auto lookup = std::make_shared<Lookup>(context_);
  lookup->resolver.async_resolve(
      site.server.host, std::to_string(site.server.port),
      [lookup](boost::system::error_code failed, tcp::resolver::results_type results) {
        lookup->error = failed;
        lookup->results = std::move(results);
        if (lookup->waited_for) lookup->done.notify();
      });
  abort.end = [&lookup] { lookup->done.notify(); };
  co_await lookup->done.wait(deadline);
  abort.end = nullptr;
  lookup->waited_for = false;
  if (lookup->error || lookup->results.empty()) {
    // An old address is better than none.
    if (!site.endpoints.empty()) co_return site.endpoints;
    const std::string why = lookup->error ? lookup->error.message() : "timeout";
    co_return Error(Fault::upstream_unreachable,
                    fmt::format("looking up {}: {}", site.server.host, why));
  }
  site.endpoints.clear();
  for (const auto& result : lookup->results) site.endpoints.push_back(Endpoint(result.endpoint()));
  site.resolved_at = context_.timers.now();
  co_return site.endpoints;
}

void UpstreamPool::set_options(int file) const {
  const int on = 1;
  ::setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto seconds = static_cast<int>(
      std::chrono::duration_cast<std::chrono::seconds>(upstream_.tcp_keepalive).count());
  if (seconds == 0) return;
  ::setsockopt(file, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(file, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(file, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

void UpstreamPool::release(std::unique_ptr<UpstreamConnection> connection) {
  if (rest(*connection)) site_of(*connection).idle.push_back(std::move(connection));
}

void UpstreamPool::release(std::unique_ptr<UpstreamConnection> connection,
                           PinnedConnections& client) {
  if (rest(*connection)) client.keep(pinned_, std::move(connection));
}

// False: it is good for nothing any more.
bool UpstreamPool::rest(UpstreamConnection& connection) {
  if (const Tls* const tls = connection.connection().tls()) {
    if (auto session = tls->session()) site_of(connection).session = std::move(session);
  }
  if (!connection.reusable()) return false;
  // Our own patience, and the backend's if it has told: not to the last second of it.
  jobs::milliseconds idle = upstream_.timeouts.idle;
  if (connection.head().keep_alive_timeout) {
    const jobs::milliseconds told = *connection.head().keep_alive_timeout;
    idle = std::min(idle, told - std::min(told, jobs::milliseconds(1000)));
  }
  connection.slot.reset();
  connection.idle_since = context_.timers.now();
  connection.input().release();
  connection.idle_until = connection.idle_since + idle;
  if (!closing_) {
    closing_ =
        context_.timers.at(context_.timers.now() + close_idle_every, [this] { close_idle(); });
  }
  return true;
}

awaitable<void> UpstreamPool::outlast(UpstreamConnection& connection,
                                      bool head_request,
                                      TimePoint limit) {
  if (stopping_) co_return;
  outlasted_.insert(&connection);
  co_await connection.outlast(head_request, limit);
  outlasted_.erase(&connection);
}

void UpstreamPool::stop() {
  stopping_ = true;
  for (UpstreamConnection* const connection : outlasted_) connection->connection().abort();
  wake();
}

void UpstreamPool::close_idle() {
  closing_.reset();
  const TimePoint now = context_.timers.now();
  for (const auto& site : sites_) {
    std::erase_if(site->idle, [now](const auto& connection) { return !connection->is_fit(now); });
  }
  pinned_->close_idle(now);
  if (has_idle()) {
    closing_ = context_.timers.at(now + close_idle_every, [this] { close_idle(); });
  }
}

bool UpstreamPool::has_idle() const {
  return pinned_->size() != 0 || std::any_of(sites_.begin(), sites_.end(),
                                             [](const auto& site) { return !site->idle.empty(); });
}

}  // namespace raincheck::proxy
