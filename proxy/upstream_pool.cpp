#include "proxy/upstream_pool.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

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

}  // namespace

// One server: its addresses and its idle connections, the last used at the back.
struct UpstreamPool::Site {
  explicit Site(const config::Server& of) : server(of) {}

  const config::Server& server;
  std::vector<Endpoint> endpoints;
  TimePoint resolved_at{};
  std::vector<std::unique_ptr<UpstreamConnection>> idle;
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

UpstreamPool::UpstreamPool(ShardContext context, const config::Upstream& upstream)
    : context_(context), upstream_(upstream) {
  for (const config::Server& server : upstream.servers) {
    sites_.push_back(std::make_unique<Site>(server));
  }
}

UpstreamPool::~UpstreamPool() {
  if (closing_) context_.timers.cancel(*closing_);
}

std::unique_ptr<Exchange> UpstreamPool::open(const Call& call) {
  return std::make_unique<PoolExchange>(*this, call);
}

awaitable<Result<std::unique_ptr<UpstreamConnection>>> UpstreamPool::acquire(Reuse reuse,
                                                                             TimePoint deadline,
                                                                             AbortRequest& abort) {
  const std::size_t first = next_site_++;
  for (std::size_t i = 0; reuse != Reuse::none && i < sites_.size(); ++i) {
    auto connection = take_idle(*sites_[(first + i) % sites_.size()], reuse);
    if (connection) co_return connection;
  }
  Result<std::unique_ptr<UpstreamConnection>> result = Error(Fault::upstream_unreachable, "");
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    result = co_await connect(*sites_[(first + i) % sites_.size()], deadline, abort);
    if (result || abort.requested || context_.timers.now() >= deadline) break;
  }
  co_return result;
}

std::unique_ptr<UpstreamConnection> UpstreamPool::take_idle(Site& site, Reuse reuse) {
  while (!site.idle.empty()) {
    std::unique_ptr<UpstreamConnection>& last = site.idle.back();
    if (reuse == Reuse::recent && last->idle_since + recent_for < context_.timers.now()) {
      return nullptr;
    }
    std::unique_ptr<UpstreamConnection> connection = std::move(last);
    site.idle.pop_back();
    const bool over = connection->idle_until <= context_.timers.now();
    if (over || !connection->connection().is_quiet()) continue;
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
    const Io io = co_await connection->connection().connect(
        endpoint.data(), static_cast<socklen_t>(endpoint.size()), deadline);
    abort.end = nullptr;
    if (io == Io::ok) {
      connection->begin();
      co_return connection;
    }
    why = io == Io::timeout ? "timeout" : "refused or unreachable";
  }
  site.resolved_at = {};
  co_return Error(Fault::upstream_unreachable,
                  fmt::format("connecting to {}: {}", site.server.authority, why));
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
  if (!connection->reusable()) return;
  const auto site = std::find_if(sites_.begin(), sites_.end(), [&](const auto& candidate) {
    return &candidate->server == &connection->server();
  });
  // Our own patience, and the backend's if it has told: not to the last second of it.
  jobs::milliseconds idle = upstream_.timeouts.idle;
  if (connection->head().keep_alive_timeout) {
    const jobs::milliseconds told = *connection->head().keep_alive_timeout;
    idle = std::min(idle, told - std::min(told, jobs::milliseconds(1000)));
  }
  connection->idle_since = context_.timers.now();
  connection->input().release();
  connection->idle_until = connection->idle_since + idle;
  (*site)->idle.push_back(std::move(connection));
  if (!closing_) {
    closing_ =
        context_.timers.at(context_.timers.now() + close_idle_every, [this] { close_idle(); });
  }
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
}

void UpstreamPool::close_idle() {
  closing_.reset();
  for (const auto& site : sites_) {
    std::erase_if(site->idle, [now = context_.timers.now()](const auto& connection) {
      return connection->idle_until <= now || !connection->connection().is_quiet();
    });
  }
  if (idle() != 0) {
    closing_ =
        context_.timers.at(context_.timers.now() + close_idle_every, [this] { close_idle(); });
  }
}

std::size_t UpstreamPool::idle() const {
  std::size_t count = 0;
  for (const auto& site : sites_) count += site->idle.size();
  return count;
}

}  // namespace raincheck::proxy
