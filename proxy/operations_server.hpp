// A small HTTP server for those who operate the program: the monitoring listener and the admin
// socket. Off the hot path, on the main thread's io_context; one table of operations for each
// listener says all that it can do. Owned by the Server. Bounded: connections, bytes of a request,
// and the time that each may take.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/listening.hpp"

namespace raincheck::proxy {

// Who is at the other end of a unix socket, as the kernel says.
struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

struct OperationRequest {
  std::string method;
  std::string path;
  std::vector<std::string> arguments;  // what stands for each {} of Operation::path, decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string body;
  std::optional<Peer> peer;  // over TCP: nothing

  // Of the first parameter of that name; null: there is none. "?name" has an empty value.
  const std::string* parameter(std::string_view name) const;
};

struct OperationAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string outcome;  // for the audit line, beside the status; empty: the status says it all
};

OperationAnswer json_answer(std::string json, int status = 200);
OperationAnswer text_answer(std::string text, int status = 200);
// application/problem+json (RFC 9457). `detail` is for people, and says what can be done.
OperationAnswer problem_answer(int status, std::string_view detail);

// Takes the answer, once, from any thread. One that is dropped answers 500.
class OperationReply {
 public:
  using Take = std::function<void(OperationAnswer)>;

  explicit OperationReply(Take take) : once_(std::make_shared<Once>(std::move(take))) {}
  void operator()(OperationAnswer answer) const { once_->answer(std::move(answer)); }

 private:
  struct Once {
    explicit Once(Take take_of) : take(std::move(take_of)) {}
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    ~Once() { answer(problem_answer(500, "nothing was answered")); }
    void answer(OperationAnswer answer);

    Take take;
  };

  std::shared_ptr<Once> once_;
};

// One thing that can be asked. Called on the main thread; it must not wait there. GET also answers
// HEAD; every other method is taken to change something.
struct Operation {
  std::string method;
  std::string path;  // "/jobs/{}/cancel": {} stands for one segment
  std::function<void(OperationRequest request, OperationReply reply)> call;
  // Of what changes something: the switches ("?dry_run") that it knows. Others are refused, for
  // what they are meant to say would not be done.
  std::vector<std::string> switches{};
};

// Which operation a request is for, decoded; or what to say instead. Pure.
struct FoundOperation {
  const Operation* operation = nullptr;
  OperationRequest request;
  OperationAnswer refusal;
  std::string allow;  // with 405: the methods there are
};
FoundOperation find_operation(const std::vector<Operation>& operations,
                              std::string_view method,
                              std::string_view target);

struct OperationsOptions {
  bool audits = false;                // a line in the log for each call that may change something
  std::uint32_t head_max = 8 * 1024;  // of a request; beyond it 431
  std::size_t body_max = 0;           // of a request; beyond it 413
  std::size_t connections_max = 64;   // beyond it the one that has been idle longest gives way
};

class OperationsServer {
 public:
  // Serves at once, as soon as `io` runs.
  OperationsServer(boost::asio::io_context& io,
                   ListeningSocket socket,
                   std::vector<Operation> operations,
                   OperationsOptions options);
  // Only when `io` runs no more. Replies that come later are dropped.
  ~OperationsServer();
  OperationsServer(const OperationsServer&) = delete;
  OperationsServer& operator=(const OperationsServer&) = delete;

 private:
  class Listener;
  std::unique_ptr<Listener> listener_;
};

}  // namespace raincheck::proxy
