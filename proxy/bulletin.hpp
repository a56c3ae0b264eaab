// What a shard tells the others about jobs: who waits for one hears of its change, and every shard
// learns how long jobs take. Collected for one turn of the loop and posted once. Each shard has its
// own; a Bulletin is read and written on its shard only, and reaches another by message.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "jobs/estimate.hpp"
#include "jobs/id.hpp"
#include "proxy/timers.hpp"

namespace raincheck::proxy {

struct JobChange {
  std::int64_t key = 0;  // of the job's place
  bool final = false;
  std::size_t route = 0;          // KnownRoute::number; for a final one, if it ran:
  jobs::milliseconds waited{-1};  // from the 202 to the start of its last attempt
  jobs::milliseconds ran{-1};
};

// How long the jobs of one route take.
struct RouteDurations {
  jobs::Durations waited;
  jobs::Durations ran;
};

class Bulletin {
 public:
  Bulletin(boost::asio::io_context& io, Timers& timers) : io_(io), timers_(timers) {}
  void set_others(std::vector<Bulletin*> others) { others_ = std::move(others); }

  void publish(const JobChange& change);

  // Somebody who waits for changes of one job. Made before the job is looked at, so that no change
  // is missed between.
  class Watch {
   public:
    Watch(Bulletin& bulletin, std::int64_t key);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // True: the job changed since the last call; false: `deadline` passed first.
    Signal::Wait wait(TimePoint deadline) { return signal_.wait(deadline); }
    void notify() { signal_.notify(); }

   private:
    Bulletin& bulletin_;
    Signal signal_;
    std::unordered_multimap<std::int64_t, Watch*>::iterator entry_;
  };
  std::size_t waiters() const { return waiters_.size(); }
  // Every waiter goes on, as if its time had passed. For stopping.
  void release_waiters();

  // Of SiteRoute::number.
  const RouteDurations& durations(std::size_t route) const;

 private:
  void take(const JobChange& change);
  void flush();

  boost::asio::io_context& io_;
  Timers& timers_;
  std::vector<Bulletin*> others_;
  std::vector<JobChange> outgoing_;
  std::vector<RouteDurations> durations_;  // of SiteRoute::number, as far as they are known
  std::unordered_multimap<std::int64_t, Watch*> waiters_;
};

}  // namespace raincheck::proxy
