// The closed list of things that a store can be asked, each carrying its own reply, so that there
// is no second list to keep in step. A batch of them is one transaction. Times are the asker's wall
// clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "jobs/error.hpp"
#include "jobs/job.hpp"

namespace raincheck::store {

// A new job. With `start`, and nothing queued before it in its lane, it is running (attempt 1) from
// the first moment, so that an idle system pays two commits a job; otherwise it is queued.
struct Insert {
  jobs::NewJob job;
  bool start = false;
  // With `start`: its call has begun already. Only in a lane where nothing else is inserted, so
  // that nothing is ever queued before it.
  bool under_way = false;
  enum class Outcome : std::uint8_t {
    queued,
    running,
    existed,     // the key is known, with the same fingerprint: `id` is that job's, nothing was
                 // written
    key_reused,  // the key is known, with another fingerprint: nothing was written
  };
  Outcome outcome = Outcome::queued;
  jobs::JobId id;
  // The store is at its limit: nothing was written, and Client::apply answers store_full. Only new
  // jobs are refused so; those that there are go on and end.
  bool refused = false;
};

// Takes due jobs of some lanes, of each in order (those to be retried whose time has come first),
// and makes them running with attempt + 1. Jobs carry everything but a response.
struct Claim {
  struct Share {
    std::uint32_t lane = 0;
    std::uint32_t count = 0;   // at most
    std::uint64_t queued = 0;  // left in the lane, due now or later
    jobs::WallTime due{};      // when the first of those may start; epoch: at once
  };
  std::vector<Share> shares;
  jobs::WallTime now{};
  std::vector<jobs::Job> jobs;  // of all shares, in their order
};

// Ends jobs that wait in some lanes, as failed: with `expired` those whose start_by or finish_by
// has passed, in each lane those at its head, those to be retried that are due, and those that its
// cursor comes upon; with `route_removed` all, whatever their times. Each of these looks at
// `look_max` jobs at most, and no further lane is begun when so many were looked at in all.
struct Expire {
  struct Share {
    std::uint32_t lane = 0;
    // The cursor: a way through the queue in its order, behind jobs that have been waiting for
    // `patience`. Where that is how long jobs of the lane may wait, it meets each of them when its
    // time is over, and looks at no job twice.
    jobs::milliseconds patience{};
    std::uint64_t from = 0;    // sequence; moved on by the store
    std::uint64_t queued = 0;  // left in the lane, due now or later
    bool more = false;         // there may be more to end at once
    jobs::WallTime oldest{};   // when the first that waits was accepted; epoch: nothing waits
  };
  std::vector<Share> shares;
  jobs::ErrorType error = jobs::ErrorType::expired;
  std::uint32_t look_max = 0;
  jobs::WallTime now{};
  jobs::milliseconds request_retention{};  // as for Finish
  std::size_t done = 0;                    // of the shares: the others were not begun
  std::vector<jobs::Place> ended;
};

// Fence: a command on a running job takes effect only if the job is still running this attempt in
// this epoch.
struct Fence {
  jobs::Place place;
  std::uint32_t attempt = 0;
  std::uint64_t epoch = 0;  // 0: the backend's own
};

// Ends an attempt and with it the job. On success the request is erased; of a failed job it is kept
// for `request_retention`, and never longer than the job. A retention of zero is the one that the
// job was submitted with; a request_retention of zero erases the request at once.
struct Finish {
  Fence fence;
  jobs::State state = jobs::State::failed;
  jobs::ErrorType error = jobs::ErrorType::none;
  jobs::Response response;
  jobs::WallTime now{};
  jobs::milliseconds retention{};
  jobs::milliseconds request_retention{};
  std::string history;  // of all its attempts; empty: as it is
  bool applied = false;
};

// Ends an attempt; the job is queued again, due at `due_at`. Without `counts` the attempt is given
// back.
struct Requeue {
  Fence fence;
  jobs::WallTime due_at{};
  bool counts = true;
  std::string history;  // as for Finish
  bool applied = false;
};

// Of a running job: its backend goes on with the call, and `monitor` (jobs::Monitor) says where it
// tells of it. From now on that is asked, by later attempts too, and nothing is sent again.
struct Follow {
  Fence fence;
  std::string monitor;
  bool applied = false;
};

enum class Presence : std::uint8_t { present, gone, unknown };

// Ends a queued or running job as canceled; of a final job it changes nothing. `job` is the job
// afterwards, without bodies, and `was` its state before. Retention as for Finish.
struct Cancel {
  jobs::JobId id;
  jobs::WallTime now{};
  jobs::milliseconds retention{};
  Presence presence = Presence::unknown;
  jobs::State was = jobs::State::queued;
  jobs::Job job;
};

// Erases a final job and its result; `was` tells when it is not final, and then nothing was
// changed.
struct Erase {
  jobs::JobId id;
  Presence presence = Presence::unknown;
  jobs::State was = jobs::State::queued;
};

// Erases what is past its retention, earliest first: jobs, and requests of failed ones. Of a job
// that was erased already nothing is left, but the end of its request's retention counts still.
// A little of the room that was erased is given back to the file system, if there is much of it.
struct Prune {
  jobs::WallTime now{};
  std::uint32_t count_max = 0;
  std::uint32_t count = 0;
  bool more = false;  // there is much of that room left
};

using Command = std::variant<Insert, Claim, Expire, Finish, Requeue, Follow, Cancel, Erase, Prune>;

// A read of one job. Head and bytes of the response come with `with_response`, its status and size
// always; of the request only the size, and with `with_request` all that is still kept: without a
// head it was erased. `Job::ahead` counts canceled jobs too.
struct Find {
  jobs::JobId id;
  bool with_response = false;
  bool with_request = false;
  Presence presence = Presence::unknown;
  jobs::Job job;
};

}  // namespace raincheck::store
