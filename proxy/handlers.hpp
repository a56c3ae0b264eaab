// Who answers a request that has a route or is about a job. Each gives the transaction exactly one
// response, unless its client has gone. On the shard of the transaction.
#pragma once

#include <string_view>

#include "proxy/route_call.hpp"
#include "proxy/transaction.hpp"

namespace raincheck::proxy {

// A request that matched a route: a job where the route and the client say so, a plain call
// otherwise.
awaitable<void> submit_or_forward(Transaction& transaction, const SiteRoute& route);

// Asks the route's authorization service, of which it has one, about the call. False: it may not go
// on, and the client was told, or has gone.
awaitable<bool> authorize(Transaction& transaction, const SiteRoute& route);

// A plain call, streamed both ways.
awaitable<void> forward(Transaction& transaction, const SiteRoute& route);

// What a job takes.
constexpr std::string_view job_methods = "GET, HEAD, DELETE";

// GET and DELETE of {base_path}/{id} and {base_path}/{id}/result; `rest` is what follows the base
// path and its slash, and lasts.
awaitable<void> answer_about_job(Transaction& transaction, std::string_view rest);

// The answer of a client whose job is, or was just made, `job`: 202 with where to look for it.
void accept(Transaction& transaction, const SiteRoute& route, const jobs::Job& job);

// A job's changes as they come, until it has ended, as server-sent events. `id` is the job's, as
// its client knows it.
awaitable<void> give_events(Transaction& transaction, const jobs::Job& job, std::string_view id);

// The result of a final job, as the backend gave it, or the problem that stands in its place.
awaitable<void> give_result(Transaction& transaction, const jobs::Job& job);

// Makes the head of a call. False: its route does not allow it, and the client was told.
bool may_call(Transaction& transaction, RouteCall& routed);
// After may_call(). False: its credentials belong to a connection, and the client was told.
bool may_be_job(Transaction& transaction, const RouteCall& routed);

// A fault of ours or of the upstream as a problem.
Problem problem_of(const jobs::Error& error);

}  // namespace raincheck::proxy
