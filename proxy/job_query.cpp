#include "proxy/job_query.hpp"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "config/text.hpp"

namespace raincheck::proxy {

using store::List;

namespace {

constexpr std::uint64_t limit_max = 1'000;

// The words of an enum from 0 to `last`.
template <class T>
std::string read_word(std::string_view word, T last, std::optional<T>& into) {
  std::string known;
  for (int each = 0; each <= static_cast<int>(last); ++each) {
    const char* const name = jobs::name(static_cast<T>(each));
    if (word == name) into = static_cast<T>(each);
    known.append(known.empty() ? "" : ", ").append(name);
  }
  return into ? "" : fmt::format("'{}' is none of {}", word, known);
}

std::string read_age(const std::string& value, jobs::WallTime now, jobs::WallTime& into) {
  const auto age = config::parse_duration(value);
  if (!age) return age.why();
  into = now - *age;
  return "";
}

std::string read_limit(const std::string& value, std::uint32_t& into) {
  const auto limit = config::parse_number(value);
  if (!limit || *limit == 0 || *limit > limit_max) {
    return fmt::format("must be a number from 1 to {}", limit_max);
  }
  into = static_cast<std::uint32_t>(*limit);
  return "";
}

std::string read_cursor(std::string_view text, std::vector<std::uint64_t>& into) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    std::uint64_t& sequence = into.emplace_back();
    const auto [next, error] = std::from_chars(at, end, sequence, 16);
    if (error != std::errc() || sequence > jobs::Place::sequence_max) break;
    if (next == end) return "";
    if (*next != '.') break;
    at = next + 1;
  }
  return "must be what the page before ended with";
}

std::string read_parameter(const std::string& name,
                           const std::string& value,
                           jobs::WallTime now,
                           List& list) {
  if (name == "state") return read_word(value, jobs::State::canceled, list.state);
  if (name == "error") return read_word(value, jobs::ErrorType::rewrite_failed, list.error);
  if (name == "older_than") return read_age(value, now, list.created_before);
  if (name == "newer_than") return read_age(value, now, list.created_from);
  if (name == "limit") return read_limit(value, list.count_max);
  if (name == "cursor") return read_cursor(value, list.cursor);
  if (name == "label") {
    list.label = value;
    const std::size_t equals = value.find('=');
    const bool has_both = equals != value.npos && equals != 0 && equals + 1 != value.size();
    return has_both ? "" : "must be NAME=VALUE";
  }
  if (name == "route") {
    list.route = value;
  } else if (name == "request_id") {
    list.request_id = value;
  } else {
    return "there is no such parameter";
  }
  return value.empty() ? "must not be empty" : "";
}

}  // namespace

std::string read_job_query(const OperationRequest& request, jobs::WallTime now, List& list) {
  std::set<std::string_view> known;
  for (const auto& [name, value] : request.query) {
    if (!known.insert(name).second) return fmt::format("{}: must not be given twice", name);
    const std::string wrong = read_parameter(name, value, now, list);
    if (!wrong.empty()) return fmt::format("{}: {}", name, wrong);
  }
  return "";
}

std::string cursor_text(const std::vector<std::uint64_t>& cursor) {
  return fmt::format("{:x}", fmt::join(cursor, "."));
}

}  // namespace raincheck::proxy
