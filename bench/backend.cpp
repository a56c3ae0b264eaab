// A synthetic HTTP/1.1 backend: answers every request after one constant delay with a body that
// only the one who knows the request can tell in advance (answer.hpp), and counts how often each
// request was carried out. One thread.
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "bench/answer.hpp"
#include "bench/arguments.hpp"
#include "bench/message.hpp"
#include "bench/network.hpp"

namespace raincheck::bench {
namespace {

constexpr std::string_view usage =
    R"(usage: raincheck-bench-backend [options]
Prints the port that it listens on. What was carried out is told by GET /_counts, of one run of
the load generator by GET /_counts/RUN, and on stderr at SIGUSR1 and at the end.

  --listen ADDRESS        default 127.0.0.1:0 (any free port)
  --delay DURATION        from the whole request to the answer; default 0ms
  --response-size BYTES   of every answer's body; default 1KiB
)";

// How often each request of one run was carried out.
struct Run {
  std::vector<std::uint8_t> times;
  std::uint64_t seen = 0;
  std::uint64_t duplicates = 0;
};

class Counts {
 public:
  void count(std::optional<Token> given) {
    ++requests_;
    if (!given) return;
    const Token token = *given;
    if (runs_.size() >= runs_max && !runs_.contains(token.run)) return;
    Run& run = runs_[token.run];
    if (token.sequence >= sequence_max) return;
    if (token.sequence >= run.times.size()) run.times.resize(token.sequence * 3 / 2 + 1024);
    std::uint8_t& times = run.times[token.sequence];
    if (times == 0) ++run.seen;
    if (times != 0) ++run.duplicates;
    if (times < 255) ++times;
  }

  std::string of_run(std::string_view hex) const {
    const auto token = read_token(std::string(hex) + std::string(token_bytes / 2, '0'));
    const auto found = token ? runs_.find(token->run) : runs_.end();
    return found == runs_.end() ? text(0, 0, 0)
                                : text(found->second.seen + found->second.duplicates,
                                       found->second.seen, found->second.duplicates);
  }

  std::string of_all() const {
    std::uint64_t seen = 0;
    std::uint64_t duplicates = 0;
    for (const auto& [name, run] : runs_) {
      seen += run.seen;
      duplicates += run.duplicates;
    }
    return text(requests_, seen, duplicates);
  }

  std::uint64_t in_flight_max = 0;
  std::uint64_t abandoned = 0;

 private:
  static constexpr std::size_t runs_max = 4096;
  static constexpr std::uint64_t sequence_max = 1u << 30;

  std::string text(std::uint64_t requests, std::uint64_t seen, std::uint64_t duplicates) const {
    return "{\"requests\":" + std::to_string(requests) + ",\"seen\":" + std::to_string(seen) +
           ",\"duplicates\":" + std::to_string(duplicates) +
           ",\"in_flight_max\":" + std::to_string(in_flight_max) +
           ",\"abandoned\":" + std::to_string(abandoned) + "}\n";
  }

  std::unordered_map<std::uint64_t, Run> runs_;
  std::uint64_t requests_ = 0;
};

struct Connection {
  Descriptor socket;
  MessageReader reader{MessageReader::Expect::request};
  std::string unsent;
  std::uint64_t id = 0;     // tells it from an earlier one in the same slot
  bool is_waiting = false;  // its answer is not due yet
  bool keep_alive = true;
};

// An answer that is due later. The delay is the same for all, so they stay in order.
struct Due {
  TimePoint at;
  std::size_t slot;
  std::uint64_t connection;
  Token token;
  std::uint64_t digest;
};

class Backend {
 public:
  Backend(const Address& address, std::chrono::nanoseconds delay, std::size_t response_bytes)
      : listener_(listen_on(address)), delay_(delay), response_bytes_(response_bytes) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = Descriptor(signalfd(-1, &signals, SFD_CLOEXEC));
    poller_.add(listener_, listener_key);
    poller_.add(signals_, signals_key);
  }

  std::uint16_t port() const { return local_port(listener_); }

  void run() {
    while (!is_stopped_) {
      const TimePoint deadline = due_.empty() ? Clock::now() + std::chrono::hours(1) : due_[0].at;
      for (const epoll_event& event : poller_.wait(deadline)) handle(event);
      answer_due();
    }
  }

 private:
  static constexpr std::uint64_t listener_key = ~0ull;
  static constexpr std::uint64_t signals_key = ~0ull - 1;

  void handle(const epoll_event& event) {
    if (event.data.u64 == listener_key) return accept_all();
    if (event.data.u64 == signals_key) return handle_signal();
    const std::size_t slot = event.data.u64;
    if (connections_[slot] && event.events & EPOLLOUT) flush(slot);
    if (connections_[slot] && event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(slot);
  }

  void handle_signal() {
    signalfd_siginfo received{};
    if (::read(signals_.get(), &received, sizeof received) != sizeof received) return;
    std::cerr << counts_.of_all() << std::flush;
    is_stopped_ = received.ssi_signo != SIGUSR1;
  }

  void accept_all() {
    while (auto socket = accept_from(listener_)) {
      if (free_slots_.empty()) {
        free_slots_.push_back(connections_.size());
        connections_.emplace_back();
      }
      const std::size_t slot = free_slots_.back();
      free_slots_.pop_back();
      connections_[slot] = std::make_unique<Connection>();
      connections_[slot]->socket = std::move(*socket);
      connections_[slot]->id = ++last_id_;
      poller_.add(connections_[slot]->socket, slot);
    }
  }

  void close(std::size_t slot) {
    if (connections_[slot]->is_waiting) ++counts_.abandoned;
    connections_[slot].reset();
    free_slots_.push_back(slot);
  }

  void read(std::size_t slot) {
    Connection& connection = *connections_[slot];
    const std::span<char> space = connection.reader.space();
    const std::ptrdiff_t count = space.empty() ? broken : receive(connection.socket, space);
    if (count == would_block) return;
    if (count <= 0) return close(slot);
    connection.reader.received(static_cast<std::size_t>(count));
    serve(slot);
  }

  // Carries out the requests that have arrived, until one waits or none is whole.
  void serve(std::size_t slot) {
    while (Connection* connection = connections_[slot].get()) {
      if (connection->is_waiting || !connection->unsent.empty()) return;
      const auto progress = connection->reader.next();
      if (progress == MessageReader::Progress::incomplete) return;
      if (progress == MessageReader::Progress::malformed) return close(slot);
      start(slot);
    }
  }

  void start(std::size_t slot) {
    Connection& connection = *connections_[slot];
    const Message& request = connection.reader.message();
    connection.keep_alive = request.keep_alive;
    constexpr std::string_view counts_path = "/_counts";
    if (request.target.starts_with(counts_path)) {
      const std::string_view run = request.target.substr(counts_path.size());
      body_ = run.size() > 1 ? counts_.of_run(run.substr(1)) : counts_.of_all();
      connection.reader.consume();
      return answer(slot, "application/json", "");
    }
    const std::optional<Token> given = read_token(request.body);
    counts_.count(given);
    const Token token = given.value_or(Token{});
    const std::uint64_t request_digest = digest(request.body);
    connection.reader.consume();
    if (delay_ == delay_.zero()) return answer_to(slot, token, request_digest);
    connection.is_waiting = true;
    due_.push_back({Clock::now() + delay_, slot, connection.id, token, request_digest});
    counts_.in_flight_max = std::max<std::uint64_t>(counts_.in_flight_max, due_.size());
  }

  void answer_due() {
    if (due_.empty()) return;
    const TimePoint now = Clock::now();
    while (!due_.empty() && due_.front().at <= now) {
      const Due due = due_.front();
      due_.pop_front();
      Connection* connection = connections_[due.slot].get();
      if (!connection || connection->id != due.connection) continue;
      connection->is_waiting = false;
      answer_to(due.slot, due.token, due.digest);
      serve(due.slot);
    }
  }

  void answer_to(std::size_t slot, Token token, std::uint64_t request_digest) {
    write_answer(body_, response_bytes_, token, request_digest);
    answer(slot, "application/octet-stream", digest_text(request_digest));
  }

  // Sends body_.
  void answer(std::size_t slot, std::string_view type, std::string_view request_digest) {
    Connection& connection = *connections_[slot];
    std::string& out = connection.unsent;
    out.assign("HTTP/1.1 200 OK\r\nContent-Type: ").append(type);
    out.append("\r\nContent-Length: ").append(std::to_string(body_.size()));
    if (!request_digest.empty()) out.append("\r\nX-Request-Digest: ").append(request_digest);
    if (!connection.keep_alive) out.append("\r\nConnection: close");
    out.append("\r\n\r\n").append(body_);
    const std::ptrdiff_t sent = send(connection.socket, out);
    if (sent == broken) return close(slot);
    out.erase(0, sent == would_block ? 0 : static_cast<std::size_t>(sent));
    if (!out.empty()) return poller_.watch_writable(connection.socket, slot, true);
    if (!connection.keep_alive) close(slot);
  }

  void flush(std::size_t slot) {
    Connection& connection = *connections_[slot];
    const std::ptrdiff_t sent = send(connection.socket, connection.unsent);
    if (sent == would_block) return;
    if (sent == broken) return close(slot);
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
    if (!connection.unsent.empty()) return;
    if (!connection.keep_alive) return close(slot);
    poller_.watch_writable(connection.socket, slot, false);
    serve(slot);
  }

  Descriptor listener_;
  Descriptor signals_;
  Poller poller_;
  const std::chrono::nanoseconds delay_;
  const std::size_t response_bytes_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::size_t> free_slots_;
  std::deque<Due> due_;
  Counts counts_;
  std::string body_;
  std::uint64_t last_id_ = 0;
  bool is_stopped_ = false;
};

}  // namespace
}  // namespace raincheck::bench

int main(int argc, char** argv) {
  using namespace raincheck::bench;
  const Arguments arguments(argc, argv, usage);
  const auto address = read_address(arguments.text("--listen", "127.0.0.1:0"));
  if (!address) arguments.refuse("--listen wants an address like 127.0.0.1:8081");
  try {
    allow_many_descriptors();
    Backend backend(*address, arguments.duration("--delay", std::chrono::nanoseconds::zero()),
                    arguments.bytes("--response-size", 1024));
    std::cout << backend.port() << '\n' << std::flush;
    backend.run();
  } catch (const std::exception& error) {
    std::cerr << "raincheck-bench-backend: " << error.what() << "\n";
    return 1;
  }
}
