// The body of a stored request as its backend gets it: as it was stored, or changed by the rules of
// its route, each time anew, so that what these put in (secrets) is never stored. Its length is
// always known: a body too large for memory is gone through twice, first to count, for a backend
// that reads chunks is not to be hoped for, and reading a file again is cheap beside a slow call.
// Both times with the same values, and so is each repetition. Lives in the exchange that sends it,
// on its shard.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/body.hpp"
#include "proxy/route_call.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

class Transaction;

class CallBody final : public BodySource {
 public:
  // All must outlive it. `routed` may be null: nothing is changed. What is changed in memory takes
  // its share of `budget`.
  CallBody(ShardContext& context, BodyBudget& budget, const jobs::Body& body, RouteCall* routed)
      : context_(context), body_(body), routed_(routed), size_(body.size), share_(budget) {}

  // The rules of the route may have something to do with it; else begin() need not be called.
  bool has_rules() const { return routed_ && body_.size != 0 && !rules().is_empty(); }
  // Once, before everything below. An error: there is no call to make, and not a byte was sent:
  // `internal` if the rules cannot be applied, and status() says whose fault that is; `overloaded`
  // if there was no room for the body until `deadline`.
  awaitable<jobs::Result<void>> begin(TimePoint deadline, const bool& is_aborted);
  // Only finds out if begin() could fail for what the client has sent. Waits for no room.
  awaitable<jobs::Result<void>> try_out();
  // 413, 415, 422: the body's, or what the request lacks; 500: a secret cannot be read; 0: the
  // rules have nothing to do with it.
  int status() const { return status_; }

  std::uint64_t size() const { return size_; }
  bool in_memory() const { return made_ || (!is_streamed_ && body_.spool == 0); }
  std::string_view bytes() const { return made_ ? *made_ : body_.bytes; }  // if it is in memory
  // Otherwise: from the beginning, then piece by piece.
  void rewind();
  awaitable<jobs::Result<std::string_view>> next() override;

 private:
  const routes::BodyRules& rules() const { return routed_->rules().request_body; }
  jobs::Result<bool> has_to_change();
  awaitable<jobs::Result<void>> reserve(TimePoint deadline, const bool& is_aborted);
  awaitable<jobs::Result<void>> change_whole(routes::BodyRewriter::Rewritten& made);
  awaitable<jobs::Result<void>> count(const bool& is_aborted);
  awaitable<jobs::Result<std::string>> read_whole();
  awaitable<jobs::Result<bool>> rewrite_next();
  jobs::Error refuse(int status, std::string why);
  jobs::Result<void> pass(const routes::BodyRewriter::Rewritten& unchanged);

  ShardContext& context_;
  const jobs::Body& body_;
  RouteCall* const routed_;
  std::uint64_t size_;
  int status_ = 0;
  routes::BodyValues values_;
  std::optional<std::string> made_;  // all of the changed body
  bool is_streamed_ = false;         // it is changed while it is sent
  std::optional<BodyReader> reader_;
  std::optional<routes::BodyRewriter> rewriter_;
  std::string bad_;    // what rewriter_ says against the body
  std::string given_;  // what next() gave last
  std::uint64_t given_bytes_ = 0;
  BodyBudget::Share share_;
};

// The trial of a submission: what no attempt could change, and the route refuses then, is refused
// before anything is promised. False: the client was told.
awaitable<bool> may_change_body(Transaction& transaction,
                                RouteCall& routed,
                                const jobs::Body& body);

// What a client is told of a body to which the rules of a route cannot be applied; see
// CallBody::status().
struct Problem;
Problem unchangeable_body(int status, const std::string& why);
// What a client is told when the bodies that are needed whole leave no room for its own.
Problem no_room_for_body();

}  // namespace raincheck::proxy
