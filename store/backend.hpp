// Where jobs are kept. Synchronous on purpose: a backend knows SQL and durability, and nothing of
// queues or coroutines. Each function says which thread may call it; two of them never run the same
// function at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "store/command.hpp"
#include "store/listing.hpp"

namespace raincheck::store {

// What a lane is for.
struct LaneName {
  std::string upstream;
  std::string route;
  std::uint8_t priority = 0;  // config::Priority, perhaps marked by who opens it

  bool operator==(const LaneName&) const = default;
  bool operator<(const LaneName& other) const {
    return std::tie(upstream, route, priority) <
           std::tie(other.upstream, other.route, other.priority);
  }
};

// One first-in-first-out queue on disk.
struct Lane {
  std::uint32_t number = 0;  // from 1, without a gap
  LaneName name;
  std::uint64_t queued = 0;   // waiting, due now or later
  jobs::WallTime next_due{};  // of those to be retried, the earliest; epoch: none
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Start-up, before any other call, by the opening thread; those of lanes and pauses later too, by
  // who holds Store::between_commits(). They throw std::runtime_error.

  // The numbers of the lanes with these names. Those that are new are made durably, all at once or
  // none.
  virtual std::vector<std::uint32_t> open_lanes(std::span<const LaneName> names) = 0;
  // Every lane that there is, by number, of upstreams and routes that no longer exist too.
  virtual std::vector<Lane> lanes() = 0;
  // What an operator has paused, in words of whoever keeps it here. Durable when it returns.
  virtual std::vector<std::string> paused() = 0;
  virtual void set_paused(const std::string& what, bool paused) = 0;
  // Jobs that were running when an earlier process ended, without bodies, in the order of their
  // places: some thousands, behind `after`. Fence{place, attempt, epoch} finishes or requeues one.
  // `Job::attempt` is filled, and `epochs` beside it.
  struct Orphan {
    jobs::Job job;
    std::uint64_t epoch = 0;
  };
  virtual std::vector<Orphan> orphans(const jobs::Place& after) = 0;
  std::vector<Orphan> orphans() { return orphans(jobs::Place()); }
  // Key of the ids that this store gives out.
  virtual jobs::IdCodec::Secret secret() = 0;

  // Applies the commands in order, in one transaction, and fills in their replies. Returns when the
  // batch would survive a power cut. After store_full nothing of it was applied, and another batch
  // may be tried; after store_failed nobody knows whether it is durable, and every later call fails
  // too: only a new process may read the truth. Writer thread.
  virtual jobs::Result<void> apply(std::span<Command* const> batch) = 0;

  // Fills in the replies. Sees every batch whose apply() returned before the call. Reader thread.
  virtual jobs::Result<void> find(std::span<Find* const> batch) = 0;
  // Fills in a page of jobs. File threads.
  virtual jobs::Result<void> list(List& command) = 0;

  // Moves what was committed to its final place, so that the log does not grow without end, and
  // removes spool files that no row names any more; never in the way of a commit for long.
  // Maintenance thread, when checkpoint_due() says so.
  virtual void checkpoint() = 0;
  virtual bool checkpoint_due() const = 0;  // any thread

  // Bytes on disk, spool included. Any thread.
  virtual std::uint64_t bytes() const = 0;
};

}  // namespace raincheck::store
