// A call that its backend carries on by itself after it has answered 202: asks for it where that
// says, over connections of the upstream that nobody keeps in between, until the result is there.
// What an answer means is FollowRules' to say, whether to ask on jobs::decide()'s. Lives on one
// shard, in the attempt of its job, whose slot stays taken. It never sends the call again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "jobs/monitor.hpp"
#include "proxy/route_call.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

class FollowedCall final : public Exchange {
 public:
  // Whether the upstream takes calls, as questions find out.
  struct Events {
    std::function<void(jobs::milliseconds hold)> unavailable;
    std::function<void()> available;
  };

  // `job`, whose id is `id` as text, is recorded as running. All but the events must outlive this.
  FollowedCall(ShardContext context,
               const Site& site,
               const SiteRoute& route,
               Upstream& upstream,
               const jobs::Job& job,
               std::string id,
               Events events);
  ~FollowedCall() override;

  // Before run(), for a job without a monitor: the answer to the call that says where one is.
  void begin(Reply accepted);
  // Fault::stopping: it was aborted. The reply is `followed` if the store has the monitor, so that
  // another attempt can go on from there.
  awaitable<Reply> run() override;
  void abort() override;
  // Nothing is left to end: who asks waits no longer than for the answer.
  awaitable<void> settle(TimePoint) override { co_return; }

  // Of the reply.
  BodyWriter& body();

 private:
  struct Question;

  awaitable<void> ask();
  awaitable<bool> take();
  bool may_ask_again();
  bool aim();
  bool aim_at_monitor();
  std::string server_of(const routes::UrlMap::OwnUrl& url) const;
  awaitable<bool> remember();
  awaitable<bool> pause();
  jobs::milliseconds time_left() const;
  void fail(jobs::Fault fault, std::string detail);
  bool go_astray(std::string detail, std::string_view url);

  ShardContext context_;
  const Site& site_;
  const SiteRoute& route_;
  const config::Upstream& config_;
  Upstream& upstream_;
  const jobs::Job& job_;
  const Events events_;
  const std::string id_;
  jobs::Monitor monitor_;
  std::string recorded_;  // monitor_ as the store has it
  routes::FollowStage stage_ = routes::FollowStage::monitor;
  std::string target_;  // that is asked for
  Reply reply_;         // to what was asked last
  std::unique_ptr<Question> question_;
  BodyWriter nothing_;
  int redirects_ = 0;
  bool tells_status_ = false;  // in documents, while it goes on
  std::uint32_t count_ = 0;    // of answers without the result
  Signal news_;
  bool aborted_ = false;
};

}  // namespace raincheck::proxy
