// One connection to a backend server and the HTTP/1.1 spoken over it: send a request, read the head
// of the answer, read its body piece by piece. Lives on one shard, in an UpstreamPool while idle,
// and in one exchange at a time.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"
#include "jobs/error.hpp"
#include "proxy/body.hpp"
#include "proxy/body_decoder.hpp"
#include "proxy/connection.hpp"
#include "proxy/input_buffer.hpp"
#include "proxy/response_parser.hpp"
#include "proxy/slots.hpp"

namespace raincheck::proxy {

class UpstreamConnection {
 public:
  UpstreamConnection(Descriptor socket,
                     Timers& timers,
                     Readiness& readiness,
                     Buffers& buffers,
                     const config::Upstream& upstream,
                     const config::Server& server);
  ~UpstreamConnection();

  // The request's head, and its body when that is in memory. Afterwards sent() tells if a byte has
  // left.
  awaitable<jobs::Result<void>> send(std::string_view head, std::string_view body);
  // A large body, of which `piece` is the first, not empty, and `body` has the rest. Ends early, in
  // order, when the backend answers before it has read everything.
  awaitable<jobs::Result<void>> send(BodySource& body, std::string_view piece);

  // The head of the final answer. Interim ones (1xx) are read over, but for a 101 that was asked
  // for. The views in head() last until the next call.
  awaitable<jobs::Result<void>> read_head(bool head_request, bool upgrade_requested);
  const ResponseHead& head() const { return parser_.head(); }
  // The next piece of the body, valid until the next call; empty at its end. A body that is cut
  // short is a fault.
  awaitable<jobs::Result<std::string_view>> read_body();

  // The answer is not wanted any more; returns when the backend has ended it, or at `limit`. At
  // once if it has not even got the whole request.
  awaitable<void> outlast(bool head_request, TimePoint limit);

  // Some of the body was received along with the head.
  bool has_body_at_hand() const { return input_.view().size() > to_consume_; }

  bool sent() const { return connection_.written() != written_before_; }
  // The request went out whole, the answer came in whole, and nothing speaks against another.
  bool reusable() const;
  // While idle: it may be used still, and the backend has neither closed it nor spoken.
  bool is_fit(TimePoint now) { return idle_until > now && connection_.is_quiet(); }
  // Before the next request on the same connection.
  void begin();
  // A byte of the present answer was received.
  bool answered() const { return answered_; }
  // For a body that is sent beside the reading: the answer may take its time again, counted from
  // now.
  void expect_answer();
  void set_request_whole(bool whole) { request_whole_ = whole; }
  // What follows the head in input() is not HTTP.
  void take_head();
  bool request_whole() const { return request_whole_; }
  bool head_read() const { return head_read_; }
  bool body_done() const { return body_done_; }

  Connection& connection() { return connection_; }
  InputBuffer& input() { return input_; }
  const config::Server& server() const { return server_; }
  const config::Upstream& upstream() const { return upstream_; }

  Slot slot;                  // of its server, while in use; ours until we have hung up
  bool reused = false;        // it has carried an exchange before
  TimePoint idle_until{};     // while idle
  TimePoint idle_since{};     // while idle
  TimePoint attempt = never;  // no wait goes beyond it
  bool patient = false;       // waits end at `attempt` only, whatever the upstream's timeouts

 private:
  awaitable<jobs::Result<std::size_t>> fill(std::size_t size_max);
  awaitable<jobs::Result<bool>> read_interim();
  TimePoint read_by() const;
  jobs::Error fault(Io io, std::string_view doing) const;

  Connection connection_;
  Timers& timers_;
  InputBuffer input_;
  const config::Upstream& upstream_;
  const config::Server& server_;
  ResponseParser parser_;
  BodyDecoder decoder_;
  TimePoint answer_by_ = never;
  std::uint64_t written_before_ = 0;
  std::size_t to_consume_ = 0;  // of input_, when the piece given out last is done with
  bool request_whole_ = false;
  bool answered_ = false;
  bool head_read_ = false;
  bool body_done_ = false;
};

}  // namespace raincheck::proxy
