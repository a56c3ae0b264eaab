// What a client is shown of a job: its document, and when it is expected to end. On the shard of
// the transaction; never waits.
#pragma once

#include <string>
#include <string_view>

#include "proxy/job_urls.hpp"
#include "proxy/services.hpp"

namespace raincheck::proxy {

// The settings of the job's route; the defaults when that is not configured any more.
const config::Async& async_of(const Services& services, const jobs::Job& job);

jobs::Estimate estimate_of(Services& services, const jobs::Job& job);

// The JSON document. `id` is the job's, as clients know it.
std::string document_of(Services& services,
                        const jobs::Job& job,
                        std::string_view id,
                        const JobUrls& urls,
                        const jobs::Estimate& estimate);

// Names what is shown of a job but for what moves all the time, its estimates and its place in the
// queue: of two different ones a client wants to hear.
std::string version_of(const jobs::Job& job);

}  // namespace raincheck::proxy
