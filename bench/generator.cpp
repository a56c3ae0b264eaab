#include "bench/generator.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "bench/cpu_time.hpp"

namespace raincheck::bench {
namespace {

constexpr auto sweep_interval = std::chrono::milliseconds(100);

std::string request_head(const Plan& plan) {
  std::string head = plan.method + " " + plan.target + " HTTP/1.1\r\nHost: " + plan.server.host +
                     ":" + std::to_string(plan.server.port) + "\r\n";
  if (plan.body_bytes > 0) {
    head += "Content-Type: application/octet-stream\r\nContent-Length: " +
            std::to_string(plan.body_bytes) + "\r\n";
  }
  return head + "\r\n";
}

}  // namespace

Generator::Generator(Plan plan)
    : plan_(std::move(plan)),
      request_(request_head(plan_)),
      body_at_(request_.size()),
      connections_(plan_.connections),
      tasks_(plan_.in_flight) {
  request_.append(plan_.body_bytes, 'x');
  std::random_device random;
  results_.run = std::uint64_t{random()} << 32 | random();
  for (Index i = 0; i < tasks_.size(); ++i) free_tasks_.push_back(i);
}

Results Generator::run() {
  for (Index i = 0; i < connections_.size(); ++i) open(i);
  begin_ = next_sweep_ = Clock::now();
  measure_from_ = begin_ + plan_.warmup;
  stop_at_ = plan_.requests > 0 ? TimePoint::max() : measure_from_ + plan_.duration;
  for (TimePoint now = begin_;; now = Clock::now()) {
    if (!is_measuring_ && now >= measure_from_) begin_window();
    if (!is_stopped_ && is_exhausted(now)) end_window();
    start_tasks(now);
    wake_tasks(now);
    send_ready(now);
    if (now >= next_sweep_) sweep(now);
    const bool is_idle = free_tasks_.size() == tasks_.size();
    if (is_stopped_ && is_idle && intended_start() >= stop_at_) break;
    if (is_stopped_ && now >= stop_at_ + plan_.drain) break;
    for (const epoll_event& event : poller_.wait(next_deadline(now))) handle(event);
  }
  count_leftovers(Clock::now());
  return std::move(results_);
}

void Generator::open(Index index) {
  Connection& connection = connections_[index];
  connection.link = Link(plan_.server, plan_.is_tls);
  connection.answered = 0;
  connection.reader.clear();
  connection.unsent.clear();
  connection.task = nothing;
  poller_.add(connection.link.socket(), index);
  free_connections_.push_back(index);
}

// --- When ---------------------------------------------------------------------------------------

void Generator::begin_window() {
  is_measuring_ = true;
  measure_from_ = Clock::now();
  if (plan_.requests == 0) stop_at_ = measure_from_ + plan_.duration;
  results_.server_cpu = cpu_time(plan_.cpu_of);
  results_.own_cpu = own_cpu_time();
}

void Generator::end_window() {
  is_stopped_ = true;
  const TimePoint now = Clock::now();
  results_.window = now - measure_from_;
  results_.server_cpu = cpu_time(plan_.cpu_of) - results_.server_cpu;
  results_.own_cpu = own_cpu_time() - results_.own_cpu;
  stop_at_ = std::min(stop_at_, now);
}

// Everything that this run shall send was sent, or its time is over.
bool Generator::is_exhausted(TimePoint now) const {
  if (plan_.requests == 0) return now >= stop_at_;
  return results_.started >= plan_.requests && free_tasks_.size() == tasks_.size();
}

// Of the next task. In a closed loop: at once, until the end.
TimePoint Generator::intended_start() const {
  if (plan_.requests > 0 && results_.started >= plan_.requests) return TimePoint::max();
  if (plan_.rate == 0) return is_stopped_ ? TimePoint::max() : begin_;
  const std::chrono::duration<double> offset(static_cast<double>(results_.started) / plan_.rate);
  return begin_ + std::chrono::duration_cast<Clock::duration>(offset);
}

TimePoint Generator::next_deadline(TimePoint now) const {
  TimePoint deadline = next_sweep_;
  if (!is_measuring_) deadline = std::min(deadline, measure_from_);
  if (!is_stopped_) deadline = std::min(deadline, stop_at_);
  if (!waits_.empty()) deadline = std::min(deadline, waits_.top().until);
  const TimePoint start = intended_start();
  if (!free_tasks_.empty() && start < stop_at_) deadline = std::min(deadline, std::max(now, start));
  return deadline;
}

bool Generator::is_measured(TimePoint time) const {
  return is_measuring_ && time >= measure_from_ && time < stop_at_;
}

// --- Sending ------------------------------------------------------------------------------------

void Generator::start_tasks(TimePoint now) {
  while (!free_tasks_.empty()) {
    const TimePoint intended = intended_start();
    if (intended > now || intended >= stop_at_) return;
    const Index index = free_tasks_.back();
    free_tasks_.pop_back();
    Task& task = tasks_[index];
    task.step = Step::submit;
    task.is_accepted = false;
    task.sequence = results_.started++;
    task.intended = plan_.rate == 0 ? now : intended;
    ready_.push_back(index);
  }
}

void Generator::wake_tasks(TimePoint now) {
  while (!waits_.empty() && waits_.top().until <= now) {
    ready_.push_back(waits_.top().task);
    waits_.pop();
  }
}

void Generator::send_ready(TimePoint now) {
  while (!ready_.empty() && !free_connections_.empty()) {
    const Index index = free_connections_.back();
    free_connections_.pop_back();
    connections_[index].task = ready_.front();
    ready_.pop_front();
    send_request(index, tasks_[connections_[index].task], now);
  }
}

void Generator::send_request(Index index, Task& task, TimePoint now) {
  std::string_view bytes = request_;
  if (task.step == Step::submit) {
    if (plan_.body_bytes >= token_bytes) {
      write_token(request_.data() + body_at_, {results_.run, task.sequence});
    }
    if (plan_.mode != Mode::accept) task.digest = digest(bytes.substr(body_at_));
  } else {
    get_.assign("GET ").append(task.target).append(" HTTP/1.1\r\nHost: ");
    get_.append(plan_.server.host).append("\r\n\r\n");
    bytes = get_;
  }
  Connection& connection = connections_[index];
  connection.sent_at = now;
  const std::ptrdiff_t sent = connection.link.send(bytes);
  if (sent == broken) return handle_disconnect(index);
  connection.unsent = bytes.substr(sent == would_block ? 0 : static_cast<std::size_t>(sent));
  if (!connection.unsent.empty()) poller_.watch_writable(connection.link.socket(), index, true);
}

void Generator::flush(Index index) {
  Connection& connection = connections_[index];
  const std::ptrdiff_t sent = connection.link.send(connection.unsent);
  if (sent == would_block) return;
  if (sent == broken) return handle_disconnect(index);
  connection.unsent.erase(0, static_cast<std::size_t>(sent));
  if (connection.unsent.empty()) poller_.watch_writable(connection.link.socket(), index, false);
}

void Generator::sweep(TimePoint now) {
  next_sweep_ = now + sweep_interval;
  for (Index i = 0; i < connections_.size(); ++i) {
    const Connection& connection = connections_[i];
    if (connection.task == nothing || now - connection.sent_at < plan_.timeout) continue;
    ++results_.timeouts;
    handle_disconnect(i);
  }
}

// --- Receiving ----------------------------------------------------------------------------------

void Generator::handle(const epoll_event& event) {
  const auto index = static_cast<Index>(event.data.u64);
  if (event.events & EPOLLOUT) flush(index);
  if (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive_from(index);
}

void Generator::receive_from(Index index) {
  do {
    receive_once(index);
  } while (connections_[index].link.has_more());
}

void Generator::receive_once(Index index) {
  Connection& connection = connections_[index];
  const std::span<char> space = connection.reader.space();
  const std::ptrdiff_t count = space.empty() ? broken : connection.link.receive(space);
  if (count == would_block) return;
  if (count <= 0) return handle_disconnect(index);
  connection.reader.received(static_cast<std::size_t>(count));
  const auto progress = connection.reader.next();
  if (progress == MessageReader::Progress::incomplete) return;
  const bool was_asked = connection.task != nothing && connection.unsent.empty();
  if (progress == MessageReader::Progress::malformed || !was_asked) {
    ++results_.malformed;
    return handle_disconnect(index);
  }
  const TimePoint now = Clock::now();
  handle_response(index, now);
  start_tasks(now);
  send_ready(now);
}

void Generator::handle_response(Index index, TimePoint now) {
  Connection& connection = connections_[index];
  const Message& response = connection.reader.message();
  const Index task = std::exchange(connection.task, nothing);
  ++results_.statuses[response.status];
  switch (tasks_[task].step) {
    case Step::submit:
      handle_answer(task, response, now);
      break;
    case Step::poll:
      handle_poll(task, response, now);
      break;
    case Step::collect:
      handle_result(task, response, now);
      break;
    case Step::none:
      throw std::logic_error("a response to a task that asked nothing");
  }
  const bool is_last = ++connection.answered == plan_.per_connection;
  const bool keep_alive = response.keep_alive && !is_last;
  connection.reader.consume();
  // Nobody has asked for anything yet, so bytes that are left belong to no request.
  if (!connection.reader.is_empty()) ++results_.malformed;
  if (keep_alive && connection.reader.is_empty()) {
    free_connections_.push_back(index);
  } else {
    open(index);
  }
}

void Generator::handle_answer(Index index, const Message& response, TimePoint now) {
  Task& task = tasks_[index];
  if (is_measured(task.intended)) results_.answered.add(now - task.intended);
  const bool is_expected = std::find(plan_.expected.begin(), plan_.expected.end(),
                                     response.status) != plan_.expected.end();
  if (!is_expected || (plan_.mode == Mode::jobs && !follow(task, response.location, Step::poll))) {
    ++results_.unexpected;
    return finish(index);
  }
  ++results_.accepted;
  if (plan_.mode == Mode::jobs) {
    task.is_accepted = true;
    return wait(index, now + plan_.poll_after);
  }
  if (plan_.mode == Mode::plain && !is_right(task, response)) {
    ++results_.wrong;
  } else {
    complete(now);
  }
  finish(index);
}

void Generator::handle_poll(Index index, const Message& response, TimePoint now) {
  Task& task = tasks_[index];
  ++results_.polls;
  switch (response.status) {
    case 302:
    case 303:
      if (follow(task, response.location, Step::collect)) return ready_.push_back(index);
      break;
    case 404:
    case 410:
      ++results_.lost;
      return finish(index);
    case 200:
    case 202: {
      const std::chrono::seconds asked(response.retry_after.value_or(3600));
      return wait(index, now + std::min<Clock::duration>(asked, plan_.poll_max));
    }
    default:
      break;
  }
  ++results_.unexpected;
  wait(index, now + plan_.poll_max);
}

void Generator::handle_result(Index index, const Message& response, TimePoint now) {
  Task& task = tasks_[index];
  if (response.status == 404 || response.status == 410) {
    ++results_.lost;
  } else if (response.status != 200) {
    ++results_.failed;
  } else if (!is_right(task, response)) {
    ++results_.wrong;
  } else {
    if (is_measured(task.intended)) results_.collected.add(now - task.intended);
    complete(now);
  }
  finish(index);
}

// The connection is gone, and with it the exchange on it. What was submitted may have been
// accepted, so it is not sent again; a poll is.
void Generator::handle_disconnect(Index index) {
  Connection& connection = connections_[index];
  const Index task = connection.task;
  if (task == nothing) {
    std::erase(free_connections_, index);
  } else {
    ++results_.disconnects;
    const TimePoint now = Clock::now();
    if (tasks_[task].step == Step::submit) {
      if (is_measured(tasks_[task].intended)) results_.answered.add(now - tasks_[task].intended);
      ++results_.unanswered;
      finish(task);
    } else {
      wait(task, now + plan_.poll_max);
    }
  }
  open(index);
}

// Takes the path of a Location, which may be absolute.
bool Generator::follow(Task& task, std::string_view location, Step next) {
  const std::size_t scheme = location.find("://");
  if (scheme != std::string_view::npos) {
    const std::size_t path = location.find('/', scheme + 3);
    location.remove_prefix(std::min(path, location.size()));
  }
  if (!location.starts_with('/')) return false;
  task.target = location;
  task.step = next;
  return true;
}

bool Generator::is_right(const Task& task, const Message& response) {
  const bool has_token = plan_.body_bytes >= token_bytes;
  const Token token = has_token ? Token{results_.run, task.sequence} : Token{};
  write_answer(expected_, plan_.response_bytes, token, task.digest);
  return response.body == expected_ && response.request_digest == digest_text(task.digest);
}

void Generator::complete(TimePoint now) {
  ++results_.finished;
  if (is_measured(now)) ++results_.completed;
}

void Generator::finish(Index index) {
  tasks_[index].step = Step::none;
  free_tasks_.push_back(index);
}

void Generator::count_leftovers(TimePoint now) {
  for (const Task& task : tasks_) {
    if (task.step == Step::none) continue;
    if (task.is_accepted) {
      ++results_.lost;
      continue;
    }
    ++results_.unanswered;
    if (is_measured(task.intended)) results_.answered.add(now - task.intended);
  }
  // In an open loop also what could not even be started has waited since it was due.
  for (; intended_start() < stop_at_; ++results_.started) {
    ++results_.unanswered;
    if (is_measured(intended_start())) results_.answered.add(now - intended_start());
  }
}

}  // namespace raincheck::bench
