// What a route says about a job that is made now: where it queues, how long it may take and is
// kept, whether it may be sent again, whether requests for it are authorized. The same for a
// submission and for a job that is redriven. Pure.
#pragma once

#include <string_view>

#include "jobs/job.hpp"
#include "proxy/site.hpp"

namespace raincheck::proxy {

// Fills in all of `job` that is the route's to say.
void apply_terms(jobs::NewJob& job,
                 const SiteRoute& route,
                 std::string_view method,
                 jobs::WallTime now);

}  // namespace raincheck::proxy
