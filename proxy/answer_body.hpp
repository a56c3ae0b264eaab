// The body of a backend's answer as its route lets it through: as it comes, rewritten while it
// streams by, or, where the rules need the whole of it, collected first. The head was read. Lives
// in the coroutine that takes the answer, on its shard.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/route_call.hpp"
#include "proxy/upstream_pool.hpp"
#include "routes/body_rules.hpp"

namespace raincheck::proxy {

class AnswerBody {
 public:
  // `routed` may be null: nothing is changed. Takes what it needs of the head, whose views end with
  // begin().
  AnswerBody(ShardContext& context,
             UpstreamConnection& connection,
             RouteCall* routed,
             bool head_request);
  AnswerBody(const AnswerBody&) = delete;
  AnswerBody& operator=(const AnswerBody&) = delete;

  // Before begin(): reads as much of the body as a look at it takes. seen() has it afterwards.
  awaitable<jobs::Result<void>> look_ahead();
  // What a look at the body shows, of its first SuccessCheck::look_bytes.
  struct Seen {
    std::string_view text() const { return decoded ? std::string_view(*decoded) : as_it_came; }

    std::string_view as_it_came;  // valid until more is read
    std::optional<std::string> decoded;
    bool is_whole = true;  // the body ends with these bytes
  };
  Seen seen() const;

  // Reads what has to be known first; afterwards change() and size() stand. An error: the route
  // refuses a body to which its rules cannot be applied.
  awaitable<jobs::Result<void>> begin();
  BodyChange change() const { return change_; }
  // Nothing: it is known at the end only.
  std::optional<std::uint64_t> size() const { return size_; }
  // The next piece is there already.
  bool has_at_hand() const { return !out_.empty() || connection_.has_body_at_hand(); }

  // The next piece, valid until the next call; empty at the end.
  awaitable<jobs::Result<std::string_view>> next();

  // At the end: why the route calls the backend's answer no success; empty: it may be one.
  std::string judge() const;

 private:
  awaitable<jobs::Result<std::string_view>> read();
  awaitable<jobs::Result<void>> collect();
  awaitable<jobs::Result<void>> reserve(std::uint64_t bytes);
  jobs::Result<void> pass(const routes::BodyRewriter::Rewritten& unchanged);
  awaitable<jobs::Result<std::string_view>> next_rewritten();

  ShardContext& context_;
  UpstreamConnection& connection_;
  RouteCall* const routed_;
  const bool is_of_head_;  // there is no body, whatever the fields say
  const int status_;
  std::string content_type_;
  std::string content_encoding_;
  bool looks_ = false;         // the success of the answer depends on its body
  bool is_seen_whole_ = true;  // what is seen is all of it
  std::string seen_;           // its first bytes, as they came
  std::string ahead_;          // was read before it was wanted
  std::string read_ahead_;     // ... and given out last
  routes::BodyPlan plan_;
  std::unique_ptr<routes::BodyRewriter> rewriter_;  // null: the body is not changed
  BodyChange change_ = BodyChange::none;
  std::optional<std::uint64_t> size_;
  std::string out_;          // goes out before anything else
  std::string given_;        // what next() gave last
  BodyBudget::Share share_;  // of memory, while it is there whole
  bool is_streamed_ = false;
  bool is_over_ = false;
};

}  // namespace raincheck::proxy
