#include "proxy/job_query.hpp"

#include <doctest/doctest.h>

using namespace raincheck;
using namespace raincheck::proxy;

namespace {

const jobs::WallTime now{jobs::milliseconds(10'000'000)};

std::string read(const std::string& name, const std::string& value, store::List& list) {
  OperationRequest request;
  request.query.emplace_back(name, value);
  return read_job_query(request, now, list);
}

}  // namespace

TEST_CASE("the parameters say which jobs are listed") {
  store::List list;
  CHECK(read("state", "failed", list).empty());
  CHECK(list.state == jobs::State::failed);
  CHECK(read("error", "outcome_unknown", list).empty());
  CHECK(list.error == jobs::ErrorType::outcome_unknown);
  CHECK(read("error", "rewrite_failed", list).empty());
  CHECK(read("route", "POST /a", list).empty());
  CHECK(list.route == "POST /a");
  CHECK(read("request_id", "r", list).empty());
  CHECK(list.request_id == "r");
  CHECK(read("label", "customer=17=a b", list).empty());
  CHECK(list.label == "customer=17=a b");
  CHECK(read("older_than", "1m", list).empty());
  CHECK(list.created_before == now - std::chrono::minutes(1));
  CHECK(read("newer_than", "1h", list).empty());
  CHECK(list.created_from == now - std::chrono::hours(1));
  CHECK(read("limit", "1000", list).empty());
  CHECK(list.count_max == 1'000);
  CHECK(read_job_query(OperationRequest(), now, list).empty());
}

TEST_CASE("a parameter that is wrong is refused in words") {
  const std::pair<const char*, const char*> wrong[] = {
      {"state", "done"},      {"state", ""},
      {"error", "late"},      {"older_than", "1"},
      {"newer_than", "soon"}, {"limit", "0"},
      {"limit", "1001"},      {"limit", "x"},
      {"cursor", ""},         {"cursor", "1."},
      {"cursor", ".1"},       {"cursor", "g"},
      {"cursor", "-1"},       {"cursor", "8000000000"},
      {"route", ""},          {"color", "red"},
      {"label", "customer"},  {"label", "=17"},
      {"label", "customer="}, {"label", ""}};
  for (const auto& each : wrong) {
    const std::string name = each.first;
    const std::string value = each.second;
    CAPTURE(name);
    CAPTURE(value);
    store::List list;
    CHECK(read(name, value, list).starts_with(name + ": "));
  }
}

TEST_CASE("a parameter that is given twice is refused, for jobs are chosen by all of them") {
  OperationRequest request;
  request.query = {{"label", "a=1"}, {"state", "failed"}, {"label", "b=2"}};
  store::List list;
  CHECK(read_job_query(request, now, list) == "label: must not be given twice");
}

TEST_CASE("a cursor is read as it was written") {
  const std::vector<std::uint64_t> cursor{1, 0, 0xabc, jobs::Place::sequence_max};
  CHECK(cursor_text(cursor) == "1.0.abc.7fffffffff");
  store::List list;
  CHECK(read("cursor", cursor_text(cursor), list).empty());
  CHECK(list.cursor == cursor);
}
