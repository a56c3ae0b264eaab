// Sends the load of one run and follows every request, or every job from its submission to the last
// byte of its result. Closed loop: the next one starts when one has ended. Open loop: they start at
// a constant rate whatever happens, and latency counts from the intended time, also for what could
// not be sent by then. One thread; owned by main.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "bench/answer.hpp"
#include "bench/histogram.hpp"
#include "bench/link.hpp"
#include "bench/message.hpp"
#include "bench/network.hpp"

namespace raincheck::bench {

enum class Mode {
  accept,  // a request is done when it is answered; its body is not looked at
  plain,   // as accept, and the body must be the backend's answer
  jobs,    // submit, poll until done, collect, compare
};

struct Plan {
  Mode mode = Mode::accept;
  Address server;
  bool is_tls = false;
  std::string target;
  std::string method;
  std::size_t body_bytes = 0;
  std::size_t response_bytes = 0;
  std::size_t connections = 0;
  std::uint64_t per_connection = 0;  // requests; 0: as many as there are
  std::size_t in_flight = 0;
  double rate = 0;             // per second; 0: closed loop
  std::uint64_t requests = 0;  // 0: until the time is over
  std::vector<std::uint64_t> expected;
  std::chrono::nanoseconds warmup{};
  std::chrono::nanoseconds duration{};
  std::chrono::nanoseconds drain{};
  std::chrono::nanoseconds timeout{};
  std::chrono::nanoseconds poll_after{};
  std::chrono::nanoseconds poll_max{};
  std::vector<std::uint64_t> cpu_of;  // processes whose CPU time is measured over the same window
};

// The first block covers the measured window, the second the whole run with its warm-up and drain.
struct Results {
  std::chrono::nanoseconds window{};
  std::uint64_t completed = 0;
  Histogram answered;   // the answer to the first request: the 202, or the plain response
  Histogram collected;  // the whole job
  std::chrono::nanoseconds server_cpu{};
  std::chrono::nanoseconds own_cpu{};

  std::uint64_t run = 0;
  std::uint64_t started = 0;
  std::uint64_t accepted = 0;
  std::uint64_t finished = 0;
  std::uint64_t polls = 0;
  std::uint64_t unexpected = 0;  // an answer with another status than expected
  std::uint64_t wrong = 0;   // a body or digest that is not the backend's answer to this request
  std::uint64_t failed = 0;  // a job that ended with another status than 200
  std::uint64_t lost = 0;    // accepted, and unknown later or not ended when the drain was over
  std::uint64_t unanswered = 0;  // sent or due, and never answered
  std::uint64_t disconnects = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t malformed = 0;
  std::array<std::uint64_t, 600> statuses{};
};

class Generator {
 public:
  explicit Generator(Plan plan);
  Results run();

 private:
  enum class Step { none, submit, poll, collect };
  using Index = std::uint32_t;
  static constexpr Index nothing = ~Index{0};

  struct Task {
    Step step = Step::none;
    bool is_accepted = false;
    std::uint64_t sequence = 0;
    std::uint64_t digest = 0;
    TimePoint intended;
    std::string target;
  };
  struct Connection {
    Link link;
    std::uint64_t answered = 0;
    MessageReader reader{MessageReader::Expect::response};
    std::string unsent;
    Index task = nothing;
    TimePoint sent_at;
  };
  struct Wait {
    TimePoint until;
    Index task;
    bool operator>(const Wait& other) const { return until > other.until; }
  };

  void open(Index index);
  void begin_window();
  void end_window();
  bool is_exhausted(TimePoint now) const;
  TimePoint intended_start() const;
  TimePoint next_deadline(TimePoint now) const;

  void start_tasks(TimePoint now);
  void wake_tasks(TimePoint now);
  void send_ready(TimePoint now);
  void send_request(Index index, Task& task, TimePoint now);
  void sweep(TimePoint now);

  void handle(const epoll_event& event);
  void flush(Index index);
  void receive_from(Index index);
  void receive_once(Index index);
  void handle_response(Index index, TimePoint now);
  void handle_answer(Index task, const Message& response, TimePoint now);
  void handle_poll(Index task, const Message& response, TimePoint now);
  void handle_result(Index task, const Message& response, TimePoint now);
  void handle_disconnect(Index index);
  bool follow(Task& task, std::string_view location, Step next);
  bool is_right(const Task& task, const Message& response);

  bool is_measured(TimePoint time) const;
  void complete(TimePoint now);
  void wait(Index task, TimePoint until) { waits_.push({until, task}); }
  void finish(Index task);
  void count_leftovers(TimePoint now);

  const Plan plan_;
  Poller poller_;
  std::string request_;  // the head and body of a submission; the token in it is patched for each
  std::size_t body_at_ = 0;  // where its body starts
  std::string get_;
  std::string expected_;
  std::vector<Connection> connections_;
  std::vector<Task> tasks_;
  std::vector<Index> free_connections_;
  std::vector<Index> free_tasks_;
  std::deque<Index> ready_;  // tasks with something to send
  std::priority_queue<Wait, std::vector<Wait>, std::greater<>> waits_;
  TimePoint begin_;
  TimePoint measure_from_;
  TimePoint stop_at_;
  TimePoint next_sweep_;
  bool is_measuring_ = false;
  bool is_stopped_ = false;
  Results results_;
};

}  // namespace raincheck::bench
