// One attempt of a job over an UpstreamPool: send the stored request, read the whole answer into a
// BodyWriter. Lives on one shard, in the attempt that runs it.
#pragma once

#include "proxy/call_body.hpp"
#include "proxy/upstream_pool.hpp"

namespace raincheck::proxy {

class AnswerBody;

class PoolExchange final : public Exchange {
 public:
  PoolExchange(UpstreamPool& pool, const Call& call)
      : pool_(pool),
        call_(call),
        body_(pool.context(), pool.context().bodies.calls, *call.body, call.routed) {}
  ~PoolExchange() override;

  awaitable<Reply> run() override;
  // The first half of run(), up to the head of the answer. Afterwards either run() goes on from
  // there, or the caller takes the answer from connection() itself.
  awaitable<jobs::Result<void>> begin();
  std::unique_ptr<UpstreamConnection>& connection() { return connection_; }
  bool sent() const { return reply_.sent; }
  // After begin(): the backend has answered that it goes on with the call, and where to ask for it.
  bool is_pending() const;
  void abort() override;
  awaitable<void> settle(TimePoint limit) override;

 private:
  awaitable<jobs::Result<void>> connect(UpstreamPool::Reuse reuse);
  awaitable<jobs::Result<void>> send();
  awaitable<jobs::Result<void>> ask();
  awaitable<jobs::Result<void>> receive();
  awaitable<jobs::Result<void>> read_step(AnswerBody& body);
  awaitable<void> skip_body();
  awaitable<jobs::Result<void>> receive_body(UpstreamConnection& connection, AnswerBody& body);
  void judge(const jobs::Result<void>& answered);
  bool worth_another_connection(const jobs::Error& error) const;

  UpstreamPool& pool_;
  const Call call_;
  CallBody body_;
  Reply reply_;
  std::optional<jobs::Result<void>> begun_;
  std::unique_ptr<UpstreamConnection> connection_;
  AbortRequest abort_;
};

// The request line, Host and the fields of a request on the wire, from the stored form
// ("METHOD target\r\n" and fields). The caller adds framing and ends the head.
void append_call(std::string& out, std::string_view stored, std::string_view authority);

// A whole head, for a body of that size.
std::string render_head(std::string_view stored,
                        std::string_view authority,
                        std::uint64_t body_size);

}  // namespace raincheck::proxy
