// The seam to the network: one attempt to carry out a job's call at its backend. UpstreamPool is
// the real one; tests script another. All on one shard.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/decide.hpp"
#include "jobs/error.hpp"
#include "jobs/job.hpp"
#include "proxy/body.hpp"
#include "proxy/timers.hpp"
#include "routes/follow.hpp"

namespace raincheck::proxy {

// What is to be sent, as it is stored: `head` is "METHOD target\r\n" and end-to-end fields.
// References must outlive the exchange.
class RouteCall;

struct Call {
  std::string_view head;
  std::string_view host;             // for Host; empty: the server's own
  const jobs::Body* body = nullptr;  // the client's, before any rule
  bool may_resend = false;
  TimePoint deadline = never;  // of the attempt
  bool ends_early = false;     // the deadline is the job's own: it says nothing of the backend
  std::optional<std::uint64_t> key;  // RouteCall::balance_key()
  std::string_view server;      // host:port, the only one to ask; empty, or not configured: any
  BodyWriter* into = nullptr;   // takes the response's body, if that is the result
  RouteCall* routed = nullptr;  // changes the body and the answer; null: nothing does
  // Reads the answer, to what is asked for, with what FollowedAnswer has to know. Null: any answer
  // is the result.
  const routes::FollowRules* follow = nullptr;
  routes::FollowStage stage{};
  bool knows_result = false;
  bool tells_status = false;
};

// What came of it. Without a fault, the whole response is there.
struct Reply {
  std::optional<jobs::Fault> fault;
  std::string detail;  // of the fault, for the log
  bool sent = false;   // a byte of the request was accepted by a connection
  int status = 0;
  std::string head;         // end-to-end fields
  std::string rejected;     // why the route calls it no success; empty: it may be one
  std::string retry_after;  // the field's value
  std::string server;       // host:port that was asked, for the log
  routes::FollowStep step;  // no result: what was asked for is still to come, and there is no body
  bool followed = false;    // where to ask for the result is recorded: the call is not sent again
  bool astray = false;      // the backend says to ask where it is not
  std::optional<jobs::milliseconds> first_byte;  // from the start to the answer's first byte
};

// For jobs::decide().
jobs::Outcome outcome_of(const Reply& reply, jobs::WallTime now);

class Exchange {
 public:
  virtual ~Exchange() = default;

  // Once.
  virtual awaitable<Reply> run() = 0;
  // The answer is not wanted any more: run() ends soon, with a fault. From another coroutine.
  virtual void abort() = 0;
  // After run(): until the backend has ended too, or `limit` has passed. At once where `on_abort:
  // close`.
  virtual awaitable<void> settle(TimePoint limit) = 0;
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  virtual std::unique_ptr<Exchange> open(const Call& call) = 0;
};

}  // namespace raincheck::proxy
