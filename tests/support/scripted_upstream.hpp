// A backend whose every answer the test writes, and the Upstream that leads to it. The ScriptedPeer
// is the backend: it outlives proxies, counts what it executed and is shared by the shards; each
// shard has a ScriptedUpstream of its own to it. One thread, no sockets, no time but the manual
// clock's.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/upstream.hpp"

namespace raincheck::test {

// What the backend does with one call.
struct Script {
  enum class Kind {
    answer,       // the whole answer
    refuse,       // no connection; nothing was sent
    lost_unsent,  // the connection was lost before a byte was written
    lost_unread,  // ... after bytes were written, but before the backend read them
    lost,         // ... after the backend has read and executed the call
    garbage,      // an answer that is not HTTP
    truncated,    // an answer that is cut short within its body
    too_large,    // an answer over the limit
  };
  Kind kind = Kind::answer;
  int status = 200;
  std::string body = "done";
  std::string fields;           // more of them, as lines
  std::string retry_after;      // with 429 or 503 the backend says: not executed
  jobs::milliseconds after{0};  // how long it takes; longer than the deadline: a timeout
  static constexpr jobs::milliseconds never{1'000'000'000};

  bool is_busy() const {
    return kind == Kind::answer && (status == 429 || (status == 503 && !retry_after.empty()));
  }
  // The backend reads the call and does what it asks for.
  bool executes() const {
    return kind != Kind::refuse && kind != Kind::lost_unsent && kind != Kind::lost_unread &&
           !is_busy();
  }
  bool sends() const { return kind != Kind::refuse && kind != Kind::lost_unsent; }
};

// One call of an exchange, which is its owner.
struct ScriptedCall {
  std::string target;  // of its request line
  Script script;
  bool may_resend = false;
  jobs::TimePoint began{};
  jobs::TimePoint backend_ends{};  // by itself, if nobody hangs up
  bool aborted = false;
  bool answered = false;  // whole
};

class ScriptedPeer {
 public:
  virtual ~ScriptedPeer() = default;

  // Decides about a call before it begins.
  std::function<Script(const ScriptedCall&)> script = [](const ScriptedCall&) { return Script{}; };

  // What happens to a call, for who wants to know.
  virtual void begun(const ScriptedCall&) {}
  virtual void ended(const ScriptedCall&) {}    // run() is about to return
  virtual void settled(const ScriptedCall&) {}  // settle() is

  // Calls that were executed, by target.
  std::map<std::string, int> executed;
  // Every call that began, in order.
  std::vector<std::string> targets;
  std::size_t running = 0;
  std::size_t most_running = 0;
};

class ScriptedUpstream final : public proxy::Upstream {
 public:
  ScriptedUpstream(boost::asio::io_context& io,
                   proxy::Timers& timers,
                   ScriptedPeer& peer,
                   config::OnAbort on_abort)
      : io_(io), timers_(timers), peer_(peer), on_abort_(on_abort) {}

  std::unique_ptr<proxy::Exchange> open(const proxy::Call& call) override;

 private:
  boost::asio::io_context& io_;
  proxy::Timers& timers_;
  ScriptedPeer& peer_;
  config::OnAbort on_abort_;
};

}  // namespace raincheck::test
