// What is done to a job that there is, whoever asks for it: its client, or an operator. On a shard,
// whose services are given; what others have to hear of it is told here.
#pragma once

#include <string>

#include "proxy/services.hpp"

namespace raincheck::proxy {

// Of a final job nothing changes.
awaitable<jobs::Result<store::Cancel>> cancel_job(Services& services, jobs::JobId id);

// A new job from the stored request of one that has failed, durable and queued: as its route says
// now, and without its idempotency key. The original does not change. As long as the new one is
// kept, the same original gives the same one again.
struct Redriven {
  enum class Outcome {
    done,
    existed,  // it was redriven before, as `id`
    unknown,
    gone,
    refused,  // `why` says why, in words for the operator
    failed,   // the same; it may be tried again
  };
  Outcome outcome = Outcome::failed;
  jobs::JobId id;
  std::string why;
};
awaitable<Redriven> redrive_job(Services& services, jobs::JobId id);

}  // namespace raincheck::proxy
