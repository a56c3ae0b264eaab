// A shard's connections to one upstream: kept alive, the last used first, over its servers as its
// policy, their weights and their limits say. Lives on the shard. Knows nothing of the upstream's
// slots: who asks for a connection holds one already.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "proxy/balance.hpp"
#include "proxy/body_budget.hpp"
#include "proxy/metrics.hpp"
#include "proxy/outliers.hpp"
#include "proxy/pinned.hpp"
#include "proxy/slots.hpp"
#include "proxy/tls_contexts.hpp"
#include "proxy/upstream.hpp"
#include "proxy/upstream_connection.hpp"
#include "proxy/warnings.hpp"

namespace raincheck::proxy {

// What every exchange on a shard needs.
struct ShardResources {
  boost::asio::io_context& io;
  Timers& timers;
  Readiness& readiness;
  Buffers& buffers;
  store::Client& store;
  jobs::IdCodec& codec;
  BodyBudgets& bodies;
  Warnings& warnings;
};

// The same for one configuration.
struct ShardContext : ShardResources {
  ShardMetrics& metrics;
};

// Ends the making of a connection from another coroutine.
struct AbortRequest {
  bool requested = false;
  std::function<void()> end;  // what is being waited for; set by the pool

  void request() {
    requested = true;
    if (end) end();
  }
};

class UpstreamPool final : public Upstream {
 public:
  // `tls` is for servers with https, and null where there are none. `slots` are the servers', and
  // shared by all shards as `outliers` is; this is on `shard`.
  UpstreamPool(ShardContext context,
               const config::Upstream& upstream,
               const ClientTls* tls,
               const ServerSlots& slots,
               Outliers& outliers,
               std::size_t shard);
  ~UpstreamPool() override;

  std::unique_ptr<Exchange> open(const Call& call) override;

  enum class Reuse {
    any,     // the request may be sent again
    recent,  // it may not: only a connection that the backend will hardly be closing at this moment
    none,
  };
  // A connection that is fit for one request, before `deadline` and unless `abort` is requested. A
  // server that is at its limit or accepts none is passed over; when there is no other, one at its
  // limit is waited for. `key` and `server` are those of Call. upstream_unreachable: no server that
  // may be asked accepts one or is up.
  awaitable<jobs::Result<std::unique_ptr<UpstreamConnection>>> acquire(
      Reuse reuse,
      TimePoint deadline,
      std::optional<std::uint64_t> key,
      AbortRequest& abort,
      std::string_view server = {});
  // A slot of its server for a connection that is idle and not one of the pool's. False: there was
  // none before `deadline`.
  awaitable<bool> claim(UpstreamConnection& connection, TimePoint deadline, AbortRequest& abort);
  // A new connection to one server, for a check; not one of the pool's.
  awaitable<jobs::Result<std::unique_ptr<UpstreamConnection>>> dial(std::size_t server,
                                                                    TimePoint deadline,
                                                                    AbortRequest& abort);
  // What came of a call up to the head of its answer, for `outlier_detection`. Not to be told of
  // one that ended by a deadline of its own.
  void judge(UpstreamConnection& connection, const jobs::Result<void>& answered);
  // Takes it back: kept for another request if it is reusable, else closed.
  void release(std::unique_ptr<UpstreamConnection> connection);
  // The same of one that is this client's alone: kept for it.
  void release(std::unique_ptr<UpstreamConnection> connection, PinnedConnections& client);
  IdlePinned& pinned() { return *pinned_; }

  // UpstreamConnection::outlast(), which stop() ends too.
  awaitable<void> outlast(UpstreamConnection& connection, bool head_request, TimePoint limit);
  void stop();
  // A server may have room again.
  void wake();

  const config::Upstream& upstream() const { return upstream_; }
  ShardContext& context() { return context_; }

 private:
  struct Site;
  struct Lookup;
  enum class Rank;
  struct Choice;
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;

  std::vector<Site*> all_but(std::string_view server) const;
  Choice choose(const std::vector<Site*>& tried, std::optional<std::uint64_t> key);
  Rank rank_of(const Site& site, TimePoint now);
  std::uint32_t weight_of(const Site& site, TimePoint now) const;
  Site& site_of(const UpstreamConnection& connection);
  void failed(const Site& site, std::string_view why);
  awaitable<void> wait_for_room(const std::vector<Site*>& tried,
                                TimePoint deadline,
                                AbortRequest& abort);
  std::unique_ptr<UpstreamConnection> take_idle(Site& site, Reuse reuse);
  awaitable<jobs::Result<std::unique_ptr<UpstreamConnection>>> connect(Site& site,
                                                                       TimePoint deadline,
                                                                       AbortRequest& abort);
  awaitable<std::string> reach(Site& site,
                               Connection& connection,
                               const Endpoint& endpoint,
                               TimePoint deadline);
  awaitable<jobs::Result<std::vector<Endpoint>>> resolve(Site& site,
                                                         TimePoint deadline,
                                                         AbortRequest& abort);
  void set_options(int file) const;
  bool rest(UpstreamConnection& connection);
  void close_idle();
  bool has_idle() const;

  ShardContext context_;
  const config::Upstream& upstream_;
  const ClientTls* const tls_;
  Outliers& outliers_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<ServerState> states_;  // beside sites_
  const std::size_t shard_;
  const std::shared_ptr<IdlePinned> pinned_;
  std::list<Signal*> waiting_;  // for room at a server
  std::optional<Timers::Entry> closing_;
  std::unordered_set<UpstreamConnection*> outlasted_;
  bool stopping_ = false;
};

}  // namespace raincheck::proxy
