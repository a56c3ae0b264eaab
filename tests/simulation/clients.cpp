#include "tests/simulation/clients.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>

namespace raincheck::simulation {

using jobs::State;

namespace {

std::string_view field(std::string_view head, std::string_view name) {
  const std::string start = "\r\n" + std::string(name) + ": ";
  const std::size_t at = head.find(start);
  if (at == std::string_view::npos) return {};
  head.remove_prefix(at + start.size());
  return head.substr(0, head.find("\r\n"));
}

void send_all(int socket, const std::string& text) {
  // A socket pair takes these few bytes at once, unless the proxy has closed it.
  (void)::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

void Clients::ask(int socket, Request request) {
  Asked& asked = asked_.emplace_back();
  asked.socket = socket;
  asked.request = std::move(request);
  if (asked.request.kind != Request::Kind::submit) {
    asked.was_final = jobs::is_final(model_.find(asked.request.id)->state);
  }
  send_all(socket, asked.request.text);
}

void Clients::send_rest() {
  for (Asked& asked : asked_) {
    if (asked.request.late_text.empty()) continue;
    send_all(asked.socket, asked.request.late_text);
    asked.request.late_text.clear();
  }
}

void Clients::listen() {
  for (auto asked = asked_.begin(); asked != asked_.end();) {
    if (!receive(*asked)) {
      ++asked;
      continue;
    }
    Answer answer;
    if (parse(*asked, answer)) {
      ++answers_;
      take(*asked, answer);
    }
    ::close(asked->socket);
    asked = asked_.erase(asked);
  }
}

bool Clients::receive(Asked& asked) {
  std::array<char, 4096> piece{};
  while (true) {
    const ssize_t size = ::recv(asked.socket, piece.data(), piece.size(), MSG_DONTWAIT);
    if (size > 0) {
      asked.received.append(piece.data(), static_cast<std::size_t>(size));
      continue;
    }
    Answer answer;
    return size == 0 || parse(asked, answer);
  }
}

bool Clients::parse(const Asked& asked, Answer& answer) const {
  const std::string_view received = asked.received;
  const std::size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) return false;
  answer.head = received.substr(0, end + 2);
  answer.body = received.substr(end + 4);
  std::from_chars(received.data() + 9, received.data() + 12, answer.status);
  std::size_t length = 0;
  const std::string_view told = field(answer.head, "Content-Length");
  std::from_chars(told.data(), told.data() + told.size(), length);
  return answer.body.size() >= length;
}

void Clients::hang_up_one(std::size_t which) {
  const auto asked = std::next(asked_.begin(), static_cast<std::ptrdiff_t>(which));
  ::close(asked->socket);
  asked_.erase(asked);
}

void Clients::hang_up_all() {
  while (!asked_.empty()) hang_up_one(0);
}

void Clients::complain(const Asked& asked, const Answer& answer, const std::string& what) {
  model_.complain(what + ": " + asked.request.text.substr(0, asked.request.text.find("\r\n")) +
                  " was answered " + std::to_string(answer.status) + " " +
                  std::string(answer.body.substr(0, 200)));
}

void Clients::take(const Asked& asked, const Answer& answer) {
  if (asked.request.kind == Request::Kind::submit) {
    submitted(asked, answer);
  } else {
    told(asked, *model_.find(asked.request.id), answer);
  }
}

void Clients::submitted(const Asked& asked, const Answer& answer) {
  const KnownJob* const job = model_.find(asked.request.target);
  if (answer.is_replay()) {
    if (!asked.request.waits || !job) complain(asked, answer, "an answer in line");
    if (job && !job->gone) check_replay(*job, answer);
  } else if (answer.status == 202) {
    accepted(asked, answer);
  } else if (answer.status == 422) {
    const bool same = job && !job->gone;
    if (!asked.request.keyed || same) complain(asked, answer, "P5: refused though the same");
  } else if (job && !asked.request.keyed && !asked.request.waits && !is_doubtful(answer)) {
    complain(asked, answer, "P7: refused and carried out");
  }
}

// After a failed sync nobody can say what is durable: a refusal tells nothing.
bool Clients::is_doubtful(const Answer& answer) {
  return answer.body.find("store_failed") != std::string_view::npos;
}

void Clients::accepted(const Asked& asked, const Answer& answer) {
  const std::string_view location = field(answer.head, "Location");
  const auto id = codec_.decode(location.substr(location.rfind('/') + 1));
  const KnownJob* const job = id ? model_.find(*id) : nullptr;
  if (!job) {
    complain(asked, answer, "P1: accepted and not durable");
  } else if (job->target != asked.request.target) {
    complain(asked, answer, "P5: accepted as another job");
  } else {
    acknowledged_.push_back(*id);
  }
}

void Clients::told(const Asked& asked, const KnownJob& job, const Answer& answer) {
  const bool is_final = jobs::is_final(job.state);
  if (answer.status == 410 && !answer.is_replay()) {
    const bool canceled = job.state == State::canceled &&
                          answer.body.find("problem:canceled") != std::string_view::npos;
    if (!job.gone && !canceled) complain(asked, answer, "P1: gone before its time");
    return;
  }
  if (answer.body.find("not_found") != std::string_view::npos && !answer.is_replay()) {
    complain(asked, answer, "P1: unknown");
    return;
  }
  switch (asked.request.kind) {
    case Request::Kind::submit:
      break;
    case Request::Kind::status:
      if (answer.status == 200 && asked.was_final) complain(asked, answer, "P2: pending again");
      if (answer.status == 302 && !is_final) complain(asked, answer, "P2: final too early");
      break;
    case Request::Kind::result:
      if (answer.is_replay()) {
        check_replay(job, answer);
      } else if (answer.status < 400) {
        complain(asked, answer, "P4: a result from nowhere");
      } else if (answer.status == 404 && asked.was_final) {
        complain(asked, answer, "P2: pending again");
      }
      break;
    case Request::Kind::cancel:
      if (answer.status == 200 && !is_final) complain(asked, answer, "P2: canceled and pending");
      break;
    case Request::Kind::erase:
      if (answer.status == 204 && !job.gone) complain(asked, answer, "erased and still there");
      if (answer.status == 409 && asked.was_final) complain(asked, answer, "P2: pending again");
      break;
  }
}

void Clients::check_replay(const KnownJob& job, const Answer& answer) {
  const bool same = jobs::is_final(job.state) && job.response.status == answer.status &&
                    (!job.answer || job.answer->second == answer.body);
  if (!same) model_.complain("P4: not the backend's answer: " + job.target);
}

}  // namespace raincheck::simulation
