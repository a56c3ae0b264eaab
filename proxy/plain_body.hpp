// The body of a plain call on its way to the backend: as much of it as has to be there before a
// slot is taken, so that a client that sends slowly holds nothing of the backend's, and then the
// rest, piece by piece, changed as the rules of its route say. A changed body that fits into
// `max_size` has a length; what is longer, or came without one, goes in chunks. Lives in the call,
// on its shard.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/route_call.hpp"
#include "proxy/transaction.hpp"

namespace raincheck::proxy {

class PlainBody {
 public:
  explicit PlainBody(Transaction& transaction)
      : transaction_(transaction),
        share_(transaction.services().context.bodies.requests, transaction.client_address()) {}
  PlainBody(const PlainBody&) = delete;
  PlainBody& operator=(const PlainBody&) = delete;

  // Reads what has to be known first. False: the client was answered, or has gone.
  awaitable<bool> begin(RouteCall& routed);

  // All of it, if that is in memory: the call can be sent again.
  const std::optional<std::string_view>& whole() const { return whole_; }
  // The field that frames it, if it has any.
  void append_framing(std::string& head) const;
  bool is_chunked() const { return is_chunked_; }
  // What is there already, and goes out with the head; what follows is next()'s.
  std::string_view first() const { return first_; }
  // The next piece, valid until the next call; empty at the end. A fault: the client has gone, or
  // was told what is wrong.
  awaitable<jobs::Result<std::string_view>> next();
  // next() found that the body is not in its coding, after the call had begun.
  bool is_undecodable() const { return is_undecodable_; }

 private:
  const routes::BodyRules& rules() const { return routed_->rules().request_body; }
  bool decide();
  std::uint64_t read_max() const;
  awaitable<bool> read_first();
  bool change();
  bool change_whole();
  bool begin_stream();
  bool pass(const routes::BodyRewriter::Rewritten& unchanged);
  bool refuse(int status, const std::string& why);
  bool reserve(std::uint64_t bytes);
  awaitable<jobs::Result<std::string_view>> read();

  Transaction& transaction_;
  RouteCall* routed_ = nullptr;
  const routes::BodyPlan* plan_ = nullptr;  // null: nothing is to be changed
  routes::BodyValues values_;
  std::optional<std::string_view> whole_;
  std::string first_;
  std::string read_;         // of the client's body, before anything was changed
  std::string_view unread_;  // of read_, or of the client's buffer: what rewriter_ has yet to see
  std::optional<routes::BodyRewriter> rewriter_;  // there: the body is changed while it is sent
  std::string given_;                             // what next() gave last
  BodyBudget::Share share_;                       // of memory, for what the rules need of the body
  bool is_chunked_ = false;
  bool is_over_ = false;
  bool is_undecodable_ = false;
};

}  // namespace raincheck::proxy
