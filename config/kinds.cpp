#include "config/kinds.hpp"

#include <algorithm>

#include "config/rules.hpp"

namespace raincheck::config {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

constexpr const char* duration_pattern =
    "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
constexpr const char* size_pattern = "^[0-9]+([KMGT]i?)?B$";
constexpr const char* rate_pattern = "^[0-9]+([KMGT]i?)?B/s$";
constexpr const char* origin_pattern = "^https?://[^/?#@ ]+$";
constexpr const char* status_pattern = "^[2-5][0-9][0-9](-[2-5][0-9][0-9])?$";
constexpr const char* match_pattern = "^([A-Z][A-Z-]* )?/[^ ]*$";

}  // namespace

std::string Count::limits(std::string_view text) const {
  if (min == max) return "must be " + std::to_string(min) + ", not " + quoted(text);
  return "must be from " + std::to_string(min) + " to " + std::to_string(max) + ", not " +
         quoted(text);
}

Problem Choice::read(const Scalar& scalar, int& out) const {
  for (const int number : numbers) {
    if (std::to_string(number) != scalar.text) continue;
    out = number;
    return {};
  }
  return {"must be " + one_of(shape().choices) + ", not " + quoted(scalar.text), ""};
}

Shape Choice::shape() const {
  Shape shape{Shape::Type::number, {}, "", {}, {}};
  for (const int number : numbers) shape.choices.push_back(std::to_string(number));
  return shape;
}

Problem Duration::read(const Scalar& scalar, milliseconds& out) const {
  const auto duration = parse_duration(scalar.text);
  if (!duration) return {duration.why(), ""};
  if (duration->count() == 0 && zero == Zero::refused) return {"must be longer than 0s", ""};
  out = *duration;
  return {};
}

Shape Duration::shape() const {
  return {Shape::Type::text, {}, duration_pattern, {}, {}};
}

Problem Size::read(const Scalar& scalar, std::uint64_t& out) const {
  const auto size = parse_size(scalar.text);
  if (!size) return {size.why(), ""};
  if (*size < min) return {"must be at least " + format_size(min), ""};
  if (*size > max) return {"must be at most " + format_size(max), ""};
  out = *size;
  return {};
}

Shape Size::shape() const {
  return {Shape::Type::text, {}, size_pattern, {}, {}};
}

Problem Rate::read(const Scalar& scalar, std::uint64_t& out) const {
  std::string_view text = scalar.text;
  const bool is_per_second = text.ends_with("/s");
  if (is_per_second) text.remove_suffix(2);
  const auto size = parse_size(text);
  if (!is_per_second || !size) {
    return {"must be a size in a second such as '1KiB/s' or '0B/s', not " + quoted(scalar.text),
            ""};
  }
  out = *size;
  return {};
}

Shape Rate::shape() const {
  return {Shape::Type::text, {}, rate_pattern, {}, {}};
}

Problem not_a_word(std::string_view text,
                   const std::vector<std::string>& words,
                   const std::vector<std::string>& unbuilt) {
  if (std::find(unbuilt.begin(), unbuilt.end(), text) != unbuilt.end()) {
    return {quoted(text) + " is not built yet in this version",
            "this version has " + one_of(words)};
  }
  return {"must be " + one_of(words) + ", not " + quoted(text), did_you_mean(text, words)};
}

Problem Dialect::read(const Scalar& scalar, Async& out) const {
  if (scalar.text == "native") {
    out.pending_status = 200;
    out.completion = Completion::redirect;
  } else if (scalar.text == "location") {
    out.pending_status = 202;
    out.completion = Completion::inline_;
  } else {
    return not_a_word(scalar.text, shape().choices,
                      {"operation-location", "fhir", "durable", "odata"});
  }
  return {};
}

Problem ValueRuleText::read(const Scalar& scalar, ValueRule& out) const {
  if (scalar.text == "required") {
    out.required = true;
    return {};
  }
  std::string why = check_pattern(scalar.text);
  if (why.empty()) out.pattern = scalar.text;
  return {std::move(why), ""};
}

Problem MatchText::read(const Scalar& scalar, Match& out) const {
  const std::size_t space = scalar.text.find(' ');
  Match match;
  if (space == scalar.text.npos) {
    match.path = scalar.text;
  } else {
    match.methods.emplace_back(scalar.text.substr(0, space));
    match.path = scalar.text.substr(space + 1);
  }
  if (!match.methods.empty()) {
    std::string why = check_method(match.methods.front());
    if (!why.empty()) return {std::move(why), ""};
  }
  if (!check_match_path(match.path).empty() || match.path.find(' ') != match.path.npos) {
    return {
        "must be a path such as '/reports/*', or a method and a path such as 'POST /reports/*', "
        "not " +
            quoted(scalar.text),
        ""};
  }
  out = std::move(match);
  return {};
}

Shape MatchText::shape() const {
  return {Shape::Type::text, {}, match_pattern, {}, {}};
}

Problem SingleServer::read(const Scalar& scalar, std::vector<Server>& out) const {
  if (const auto origin = parse_origin(scalar.text); !origin) return {origin.why(), ""};
  Server server;
  server.url = scalar.text;
  out.clear();
  out.push_back(std::move(server));
  return {};
}

Shape SingleServer::shape() const {
  return {Shape::Type::text, {}, origin_pattern, {}, {}};
}

Problem Statuses::append(const Scalar& scalar, std::vector<StatusRange>& out) const {
  const auto range = parse_statuses(scalar.text);
  if (!range) return {range.why(), ""};
  out.push_back(*range);
  return {};
}

std::vector<Shape> Statuses::shapes() const {
  return {{Shape::Type::text, {}, status_pattern, {}, {}}, {Shape::Type::number, {}, "", 200, 599}};
}

std::vector<std::string> Statuses::show(const std::vector<StatusRange>& ranges) const {
  std::vector<std::string> all;
  all.reserve(ranges.size());
  for (const StatusRange& range : ranges) {
    all.push_back(std::to_string(range.first) + "-" + std::to_string(range.last));
  }
  return all;
}

void RetryCauses::clear(Retry& out) const {
  out.on_connect_failure = false;
  out.on_timeout = false;
  out.on_status.clear();
}

Problem RetryCauses::append(const Scalar& scalar, Retry& out) const {
  const std::vector<std::string> words = {"connect_failure", "timeout"};
  if (scalar.text == words[0]) {
    out.on_connect_failure = true;
  } else if (scalar.text == words[1]) {
    out.on_timeout = true;
  } else if (const auto status = parse_number(scalar.text);
             status && *status >= 400 && *status <= 599) {
    out.on_status.push_back(static_cast<int>(*status));
  } else {
    return {"must be 'connect_failure', 'timeout' or a status from 400 to 599, not " +
                quoted(scalar.text),
            did_you_mean(scalar.text, words)};
  }
  return {};
}

std::vector<Shape> RetryCauses::shapes() const {
  return {{Shape::Type::text, {"connect_failure", "timeout"}, "", {}, {}},
          {Shape::Type::number, {}, "", 400, 599}};
}

std::vector<std::string> RetryCauses::show(const Retry& retry) const {
  std::vector<std::string> all;
  if (retry.on_connect_failure) all.emplace_back("connect_failure");
  if (retry.on_timeout) all.emplace_back("timeout");
  for (const int status : retry.on_status) all.push_back(std::to_string(status));
  return all;
}

}  // namespace raincheck::config
