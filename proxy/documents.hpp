// Our own documents as clients see them: native, or as the `documents` of their route say. On the
// shard of the transaction; never waits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/job_urls.hpp"
#include "proxy/services.hpp"
#include "proxy/transaction.hpp"

namespace raincheck::proxy {

struct Shown {
  std::string_view content_type = "application/json";  // of the configuration
  std::string body;
};

// A job as one of its client knows it.
struct ShownJob {
  const jobs::Job& job;
  std::string_view id;
  const JobUrls& urls;
  const jobs::Estimate& estimate;
};

// The answer to a poll or to a cancel.
Shown show_status(Services& services, const ShownJob& of);
// The body of the 202.
Shown show_accepted(Transaction& transaction, const SiteRoute& route, const ShownJob& of);
// Nothing: the route leaves problems as they are.
std::optional<Shown> show_problem(Transaction& transaction,
                                  const SiteRoute& route,
                                  const Problem& problem);

}  // namespace raincheck::proxy
