// What a backend should do, in memory and as simply as can be: the truth that random runs are
// compared with. Copyable, so that a batch can be tried.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "store/command.hpp"

namespace raincheck::store {

class Model {
 public:
  struct Entry {
    jobs::Job job;  // as a Find with the response would give it back
    std::uint64_t epoch = 0;
    jobs::milliseconds retention{};
    std::string head;  // of the request
    std::string body;
    bool has_request = true;
    std::optional<jobs::Key> key;
  };

  explicit Model(std::uint32_t lanes) : lanes_(lanes) {}

  std::uint64_t epoch = 1;

  // Does what the command says and fills in its reply.
  void apply(Command& command);
  Find find(const jobs::JobId& id) const;

  const std::map<std::int64_t, Entry>& jobs() const { return jobs_; }
  std::uint64_t queued(std::uint32_t lane) const;
  jobs::WallTime next_due(std::uint32_t lane) const;
  std::uint64_t tail(std::uint32_t lane) const { return lanes_[lane - 1].tail; }
  std::size_t requests() const;
  // Keys of the jobs that have it.
  std::set<std::int64_t> labeled(std::string_view label) const;
  void set_epoch(const jobs::JobId& id, std::uint64_t of) { jobs_.at(id.place.key()).epoch = of; }

 private:
  struct LaneState {
    std::uint64_t tail = 1;
    std::deque<std::int64_t> queue;
    std::set<std::pair<jobs::WallTime, std::int64_t>> later;
  };

  void apply_one(Insert& command);
  void apply_one(Claim& command);
  void apply_one(Expire& command);
  std::size_t expire_lane(Expire& command, Expire::Share& share);
  void expire(Expire& command, std::int64_t key);
  void apply_one(Finish& command);
  void apply_one(Requeue& command);
  void apply_one(Follow& command);
  void apply_one(Cancel& command);
  void apply_one(Erase& command);
  void apply_one(Prune& command);
  Entry* present(const jobs::JobId& id, Presence& presence);
  Entry* fenced(const Fence& fence);
  void end(Entry& entry,
           jobs::State state,
           jobs::WallTime now,
           jobs::milliseconds retention,
           jobs::milliseconds request_retention);
  jobs::Job start(std::int64_t key, jobs::WallTime now);

  std::vector<LaneState> lanes_;
  std::map<std::int64_t, Entry> jobs_;
  std::set<std::pair<jobs::WallTime, std::int64_t>> expiries_;
};

// Nothing, or what differs.
std::string difference(const jobs::Job& expected, const jobs::Job& actual);
std::string difference(const Command& expected, const Command& actual);

}  // namespace raincheck::store
