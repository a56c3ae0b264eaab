// What a request asks of its submission, and what its route makes of that: a job or a plain call,
// how long its client waits, which idempotency key it has. The same for requests and for `raincheck
// explain`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "jobs/idempotency.hpp"
#include "jobs/prefer.hpp"
#include "proxy/message_head.hpp"

namespace raincheck::proxy {

// However long a client asks to wait, its connection is not held longer than proxies on the way
// allow.
constexpr jobs::milliseconds client_wait_max{60'000};

jobs::Prefer prefer_of(const Fields& fields);

// An upgrade is never a job.
bool makes_job(const config::Async& async, const jobs::Prefer& prefer, const RequestHead& head);

// How long an answer is waited for before the call becomes a job.
jobs::milliseconds window_of(const config::Async& async, const jobs::Prefer& prefer);

// The idempotency key; nothing: there is none. `problem` says why the request is refused, else it
// is empty.
std::optional<jobs::IdempotencyKey> key_of(const config::IdempotencyKey& settings,
                                           const Fields& fields,
                                           std::string& problem);

// What tells the callers of a route apart, so that none finds another's job by its key: the fields
// that the authorization service gave, else Authorization; empty: nothing does. `stored` is the
// request as jobs keep it, "METHOD target\r\n" and its field lines. Not to be kept: it may be a
// secret.
std::string caller_of(const config::Authorize& authorize, std::string_view stored);

}  // namespace raincheck::proxy
