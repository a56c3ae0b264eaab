// Carries out attempts of one upstream's jobs on one shard, each holding a slot: send, receive,
// decide, and record what came of it. Owned by its Shard. The decision is jobs::decide()'s, the
// durability the store's; this only waits.
#pragma once

#include <functional>
#include <unordered_map>

#include "proxy/access_log.hpp"
#include "proxy/bulletin.hpp"
#include "proxy/followed_call.hpp"
#include "proxy/site.hpp"
#include "proxy/slots.hpp"
#include "proxy/task_group.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

// What the upstream's dispatcher, perhaps on another shard, has to hear.
struct RunnerEvents {
  std::function<void(std::uint32_t lane, jobs::WallTime due)> requeued;
  std::function<void(jobs::milliseconds hold)> unavailable;
  std::function<void()> available;
  std::function<void()> skipped;   // a job ended without a call
  std::function<void()> finished;  // a job is final
};

class Runner {
 public:
  Runner(ShardContext context,
         const Site& site,
         const config::Upstream& config,
         Upstream& upstream,
         Slots& slots,
         TaskGroup& tasks,
         Bulletin& bulletin,
         AccessLog& log,
         RunnerEvents events);

  // Starts an attempt of a job that is recorded as running. The caller's slot passes over.
  void start(jobs::Job job);
  // A call that is under way was made durable: from now on it is this job's attempt, to be
  // concluded by adopt().
  void expect(std::int64_t key, Exchange& exchange) { running_[key].exchange = &exchange; }
  // Runs it to its end. The slot passes over.
  awaitable<void> adopt(jobs::Job job, Exchange& exchange, BodyWriter& into, TimePoint began);
  // The job was canceled: what its attempt still brings is not wanted. Nothing if it does not run
  // here.
  void abort(std::int64_t key);

  // The process will end: calls that their backends carry on by themselves are left to the next
  // one.
  void drain();
  std::size_t running() const { return running_.size(); }
  // Gives up every attempt: what may have been executed ends `outcome_unknown`, or is queued again
  // where that is allowed. Results that cannot be written now are given up too; their jobs are
  // found by the next process.
  void stop();

 private:
  struct Attempt {
    Exchange* exchange = nullptr;
    bool followed = false;
    bool canceled = false;
    bool over = false;  // run() has returned
  };

  awaitable<void> run(jobs::Job job);
  struct Running;
  awaitable<void> settle(Exchange& exchange);
  void attend(std::int64_t key, Exchange& exchange);
  awaitable<void> call(const jobs::Job& job, const SiteRoute& route, TimePoint began);
  awaitable<void> follow(const jobs::Job& job,
                         const SiteRoute& route,
                         Reply accepted,
                         TimePoint began);
  awaitable<bool> overdue(const jobs::Job& job, const SiteRoute& route);
  awaitable<void> conclude(const jobs::Job& job,
                           const SiteRoute& route,
                           Reply reply,
                           BodyWriter& body,
                           TimePoint began,
                           Exchange& exchange);
  awaitable<void> finish(const jobs::Job& job,
                         const SiteRoute& route,
                         const jobs::Decision& decision,
                         const Reply* reply,
                         BodyWriter* body,
                         jobs::milliseconds ran,
                         std::string history);
  awaitable<void> requeue(const jobs::Job& job,
                          const jobs::Decision& decision,
                          std::string history);
  template <class C>
  awaitable<jobs::Result<C>> record(C command);
  void log_attempt(const jobs::Job& job,
                   const Reply& reply,
                   std::uint64_t bytes,
                   TimePoint began,
                   const char* reason);

  ShardContext context_;
  const Site& site_;
  const config::Upstream& config_;
  Upstream& upstream_;
  Slots& slots_;
  TaskGroup& tasks_;
  Bulletin& bulletin_;
  AccessLog& log_;
  RunnerEvents events_;
  std::unordered_map<std::int64_t, Attempt> running_;
  bool draining_ = false;
  bool stopping_ = false;
};

}  // namespace raincheck::proxy
