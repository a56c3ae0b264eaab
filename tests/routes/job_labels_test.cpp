#include "routes/job_labels.hpp"

#include <doctest/doctest.h>

#include "jobs/labels.hpp"
#include "tests/config/support.hpp"

using namespace raincheck;
using namespace raincheck::routes;

namespace {

struct Compiled {
  PathPattern pattern;
  JobLabels labels;
  std::vector<RuleProblem> problems;
};

Compiled compile(const std::string& labels) {
  const config::Loaded loaded = config::tests::load_alone(
      "upstreams: { a: http://a }\nroutes:\n  - match: /r/{customer}\n    upstream: a\n"
      "    async: { labels: " +
      labels + " }\n");
  CAPTURE(config::tests::complaints(loaded));
  REQUIRE(loaded.ok);
  Compiled out;
  std::string why;
  out.pattern = PathPattern::parse("/r/{customer}", why);
  out.labels = JobLabels::compile(loaded.config.routes[0].async.labels, out.pattern, out.problems);
  return out;
}

std::string render(const Compiled& compiled, std::string_view path, std::string_view kind) {
  REQUIRE(compiled.problems.empty());
  Fields fields;
  if (!kind.empty()) fields.push_back({"X-Kind", kind});
  Values values;
  values.pattern = &compiled.pattern;
  values.target.path = path;
  values.fields = &fields;
  values.request_id = "r-1";
  return compiled.labels.render(values);
}

// What is wrong with the only label, named x.
std::string problem_of(const std::string& value) {
  const Compiled compiled = compile("{ x: '" + value + "' }");
  if (compiled.problems.empty()) return "";
  CHECK(compiled.problems[0].setting == "async.labels.x");
  return compiled.problems[0].message;
}

}  // namespace

TEST_CASE("labels are made of what the request has, in the order of the configuration") {
  const Compiled compiled =
      compile("{ kind: '${header.X-Kind}', customer: 'c-${path.customer}', id: '${request.id}' }");
  CHECK(render(compiled, "/r/17", "letter") == "kind=letter\ncustomer=c-17\nid=r-1\n");
  CHECK(render(compiled, "/r/a%20b", "") == "customer=c-a b\nid=r-1\n");
  CHECK(compile("{}").labels.is_empty());
  CHECK(render(compile("{ k: '${header.X-Kind:-none}' }"), "/r/17", "") == "k=none\n");
}

TEST_CASE("a value that would be no label is left out, whatever the client sends") {
  const Compiled compiled = compile("{ customer: '${path.customer}', kind: a }");
  for (const char* path :
       {"/r/a%0Akind=b", "/r/%0A", "/r/%00", "/r/a%09b", "/r/a%7F", "/r/%C2%9B", "/r/%FF", "/r/"}) {
    CAPTURE(path);
    CHECK(render(compiled, path, "") == "kind=a\n");
  }
  const std::string longest(jobs::label_value_max, 'x');
  CHECK(render(compiled, "/r/" + longest, "") == "customer=" + longest + "\nkind=a\n");
  CHECK(render(compiled, "/r/" + longest + "x", "") == "kind=a\n");
}

TEST_CASE("what a submission cannot know is refused in words") {
  CHECK(problem_of("${path.customer}") == "");
  CHECK(problem_of("${job.id}") ==
        "'${job.id}' cannot be used here: the job gets its id when it is stored");
  CHECK(problem_of("${job.status}") ==
        "'${job.status}' cannot be used here: it is known only in documents of a job");
  CHECK(problem_of("${response.status}") == "'${response.status}' is not known");
  CHECK(problem_of("${path.x}").starts_with("the route's path has no parameter 'x'"));
}

TEST_CASE("a job has a bounded number of labels") {
  std::string labels = "a0: x";
  for (std::size_t i = 1; i < JobLabels::count_max; ++i) {
    labels += ", a" + std::to_string(i) + ": x";
  }
  CHECK(compile("{ " + labels + " }").problems.empty());
  const Compiled compiled = compile("{ " + labels + ", one: x, two: x }");
  REQUIRE(compiled.problems.size() == 1);
  CHECK(compiled.problems[0].setting == "async.labels.one");
  CHECK(compiled.problems[0].message == "a job has 8 labels at most");
}
