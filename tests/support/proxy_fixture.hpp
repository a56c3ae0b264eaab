// A Process with everything around it, for tests of the shells: a directory, a clock, one backend
// and a configuration of one upstream, which the test may change before start().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tests/support/passing_backend.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace raincheck::test {

inline config::Upstream an_upstream(const std::string& name, std::uint32_t max_concurrency) {
  config::Upstream upstream;
  upstream.name = name;
  upstream.max_concurrency = max_concurrency;
  upstream.timeouts.attempt = std::chrono::minutes(1);
  config::Server server;
  server.host = "127.0.0.1";
  server.authority = "127.0.0.1";
  upstream.servers.push_back(server);
  return upstream;
}

// Its name is the first part of its path.
inline config::Route a_route(const std::string& name,
                             const std::string& method,
                             const std::string& upstream) {
  config::Route route;
  route.name = name;
  route.match.methods = {method};
  route.match.path = "/" + name + "/*";
  route.upstream = upstream;
  return route;
}

// PUT /safe/* may be sent again, POST /unsafe/* may not; two calls at once.
inline config::Config a_config() {
  config::Config config;
  config.upstreams.push_back(an_upstream("legacy", 2));
  config.routes.push_back(a_route("safe", "PUT", "legacy"));
  config.routes.push_back(a_route("unsafe", "POST", "legacy"));
  return config;
}

class ProxyFixture {
 public:
  config::Config config = a_config();
  std::size_t shards = 1;
  ManualClock clock;
  ScriptedPeer peer;
  bool disk_full = false;
  // Around the store's backend, if set.
  std::function<std::unique_ptr<store::Backend>(std::unique_ptr<store::Backend>)> wrap;

  void start() {
    process_.reset();
    ProcessParts parts;
    parts.config = config;
    parts.directory = directory_ / "store";
    parts.shards = shards;
    parts.clock = &clock;
    parts.peer = [this](std::size_t) -> ScriptedPeer& { return peer; };
    parts.wrap = [this](std::unique_ptr<store::Backend> backend) {
      if (wrap) backend = wrap(std::move(backend));
      return std::make_unique<FullBackend>(std::move(backend), disk_full);
    };
    process_ = std::make_unique<Process>(std::move(parts));
    process_->run();
  }

  // Every call from now on.
  void answer_with(const Script& script) {
    peer.script = [script](const ScriptedCall&) { return script; };
  }
  jobs::JobId safe(const std::string& name, std::size_t shard = 0) {
    return process_->submit("safe", "PUT", "/safe/" + name, shard).value();
  }
  jobs::JobId unsafe(const std::string& name, std::size_t shard = 0) {
    return process_->submit("unsafe", "POST", "/unsafe/" + name, shard).value();
  }
  jobs::State state(const jobs::JobId& id) { return process_->find(id).state; }
  jobs::ErrorType error(const jobs::JobId& id) { return process_->find(id).error; }
  std::size_t calls() const { return peer.targets.size(); }

  Process* operator->() { return process_.get(); }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Process> process_;
};

// Scripts with a name.
inline Script an_answer(int status, std::string body = "done") {
  Script script;
  script.status = status;
  script.body = std::move(body);
  return script;
}

inline Script a_fault(Script::Kind kind) {
  Script script;
  script.kind = kind;
  return script;
}

inline Script a_busy_answer(int status, std::string retry_after) {
  Script script = an_answer(status, "busy");
  script.retry_after = std::move(retry_after);
  return script;
}

inline Script slow(jobs::milliseconds after, Script script = Script()) {
  script.after = after;
  return script;
}

inline Script hanging() {
  return slow(Script::never);
}

}  // namespace raincheck::test
