#include "jobs/history.hpp"

#include <algorithm>
#include <charconv>

#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

// Up to the next blank, which is taken too.
std::string_view take_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

template <class T>
bool take_number(std::string_view& line, T& number) {
  const std::string_view word = take_word(line);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

void append_milliseconds(std::string& out, milliseconds time) {
  append_number(out, static_cast<std::uint64_t>(std::max(time, milliseconds(0)).count()));
  out += ' ';
}

bool read_attempt(std::string_view line, PastAttempt& attempt) {
  std::int64_t began = 0;
  std::int64_t took = 0;
  if (!take_number(line, attempt.number) || !take_number(line, began) || !take_number(line, took) ||
      !take_number(line, attempt.status)) {
    return false;
  }
  attempt.began = milliseconds(began);
  attempt.took = milliseconds(took);
  attempt.reason = take_word(line);
  attempt.server = line;
  return !attempt.reason.empty();
}

}  // namespace

void append_attempt(std::string& history, const PastAttempt& attempt) {
  const auto lines = std::count(history.begin(), history.end(), '\n');
  if (static_cast<std::size_t>(lines) >= history_max) history.erase(0, history.find('\n') + 1);
  append_number(history, attempt.number);
  history += ' ';
  append_milliseconds(history, attempt.began);
  append_milliseconds(history, attempt.took);
  append_number(history, static_cast<std::uint64_t>(attempt.status));
  history.append(" ").append(attempt.reason).append(" ").append(attempt.server).append("\n");
}

std::vector<PastAttempt> read_history(std::string_view history) {
  std::vector<PastAttempt> attempts;
  while (!history.empty()) {
    const std::string_view line = history.substr(0, history.find('\n'));
    history.remove_prefix(std::min(history.size(), line.size() + 1));
    PastAttempt attempt;
    if (read_attempt(line, attempt)) attempts.push_back(std::move(attempt));
  }
  return attempts;
}

}  // namespace raincheck::jobs
