#include "routes/documents.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/routes/templates.hpp"

using namespace raincheck::routes;
using raincheck::jobs::State;
using raincheck::routes::tests::json_of;
using raincheck::routes::tests::text_of;

namespace {

raincheck::config::Document json(std::string_view text) {
  raincheck::config::Document out;
  out.json = json_of(text);
  return out;
}

raincheck::config::Document text(std::string_view type, std::string_view text) {
  raincheck::config::Document out;
  out.content_type = type;
  out.text = text_of(text);
  return out;
}

PathPattern pattern() {
  std::string why;
  return PathPattern::parse("/reports/{customer}", why);
}

std::string complaints(const raincheck::config::Documents& config) {
  std::vector<RuleProblem> problems;
  Documents::compile(config, pattern(), problems);
  std::string all;
  for (const RuleProblem& problem : problems)
    all += problem.setting + ": " + problem.message + "\n";
  return all;
}

// A queued job, of a request without a header.
DocumentValues values() {
  DocumentValues out;
  out[DocumentName::job_status] = "NotStarted";
  out[DocumentName::job_attempts] = "0";
  out[DocumentName::job_queue_position] = "7";
  out[DocumentName::error_status] = "404";
  out[DocumentName::error_detail] = "\"<&'>\n\\";
  out[DocumentName::error_errors] =
      R"([{"detail":"is required","header":"X-A"},{"detail":"must be \"<\"","pointer":"/a"},)"
      R"({"detail":"must be JSON","pointer":""}])";
  return out;
}

std::string render(const raincheck::config::Document& config) {
  Scope scope;
  scope.job = scope.error = true;
  std::vector<RuleProblem> problems;
  const Document document = Document::compile(config, "d", scope, problems);
  REQUIRE(problems.empty());
  const DocumentValues of = values();
  Values request;
  request.job_id = "ID";
  request.document = &of;
  std::string out;
  REQUIRE(document.render(request, out));
  return out;
}

}  // namespace

TEST_CASE("the words of documents are in the order of their names") {
  for (std::size_t i = 0; i < document_words.size(); ++i) {
    CHECK(static_cast<std::size_t>(document_words[i].name) == i);
  }
}

TEST_CASE("values stand where the template has them, typed where they stand alone") {
  struct Row {
    std::string_view json;
    std::string_view rendered;
  };
  const Row rows[] = {
      {R"({"id":"${job.id}","s":["${job.status}"]})", R"({"id":"ID","s":["NotStarted"]})"},
      {R"(["${job.attempts}","${job.queue_position}","${error.status}"])", "[0,7,404]"},
      {R"(["a${job.attempts}","${job.attempts}${job.attempts}"])", R"(["a0","00"])"},
      {R"(["${job.ended_at}","${job.retry_after}","${header.X-A}"])", "[null,null,null]"},
      {R"(["${job.ended_at:-}","${job.retry_after:-5}","${job.retry_after:-soon}"])",
       R"(["",5,"soon"])"},
      {R"(["at ${job.ended_at}.","${query.a:-none}"])", R"(["at .","none"])"},
      {R"(["","$${job.id}",1.50,true,null])", R"(["","${job.id}",1.50,true,null])"},
      {R"("${error.detail}")", R"("\"<&'>\n\\")"},
      {R"({"e":"${error.errors}"})",
       R"({"e":[{"detail":"is required","header":"X-A"},)"
       R"({"detail":"must be \"<\"","pointer":"/a"},{"detail":"must be JSON","pointer":""}]})"},
      {R"("! ${error.errors}")", R"("! X-A: is required; /a: must be \"<\"; must be JSON")"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.json);
    CHECK(render(json(row.json)) == row.rendered);
  }
}

TEST_CASE("an error that lists nothing has null for its list, or the default") {
  Scope scope;
  scope.error = true;
  std::vector<RuleProblem> problems;
  const Document document =
      Document::compile(json(R"(["${error.errors}","${error.errors:-none}","!${error.errors}"])"),
                        "d", scope, problems);
  const DocumentValues nothing;
  Values values;
  values.document = &nothing;
  std::string out;
  REQUIRE(document.render(values, out));
  CHECK(out == R"([null,"none","!"])");
}

TEST_CASE("what is put into a text is escaped as its type needs") {
  const std::string_view written = "<a b='${error.detail}'>${job.attempts}${cookie.x}</a>";
  CHECK(render(text("text/xml; charset=utf-8", written)) ==
        "<a b='&quot;&lt;&amp;&#39;&gt;\n\\'>0</a>");
  CHECK(render(text("text/xml", "${error.errors}")) ==
        "X-A: is required; /a: must be &quot;&lt;&quot;; must be JSON");
  CHECK(render(text("text/xml", "${header.X-A:-\x01}")) == "\xef\xbf\xbd");
  CHECK(render(text("application/soap+xml", written)) == render(text("text/html", written)));
  CHECK(render(text("application/json", R"({"d":"${error.detail}"})")) == R"({"d":"\"<&'>\n\\"})");
  CHECK(render(text("text/plain", "${error.detail}")) == "\"<&'>\n\\");
  for (const std::string_view type : {"text/json", "text/x-json; charset=utf-8",
                                      "Application/X-JSON", "text/x.y+json", "text/javascript"}) {
    CAPTURE(type);
    CHECK(render(text(type, "${error.detail}")) == R"(\"<&'>\n\\)");
  }
  for (const std::string_view type : {"text/html", "text/x.y+xml", "image/svg+xml", "a/b+XML"}) {
    CAPTURE(type);
    CHECK(render(text(type, "${error.detail}")) == "&quot;&lt;&amp;&#39;&gt;\n\\");
  }
}

TEST_CASE("a text has no ${} where it is not known how its type escapes") {
  const auto complaint = [](std::string_view type, std::string_view written) {
    raincheck::config::Documents config;
    config.error = text(type, written);
    return complaints(config);
  };
  CHECK(complaint("application/yaml", "a: ${error.detail}") ==
        "documents.error.text: what ${...} puts into a text of the type 'application/yaml' cannot "
        "be escaped; the types that can have it are those of JSON, JavaScript, HTML, XML and "
        "forms, text/plain, text/csv and text/tab-separated-values\n");
  CHECK(complaint("text/markdown; charset=utf-8", "${error.detail}") != "");
  CHECK(complaint("application/yaml", "a: b") == "");
  for (const std::string_view type :
       {"text/plain; charset=utf-8", "text/csv", "text/tab-separated-values",
        "application/x-www-form-urlencoded"}) {
    CAPTURE(type);
    CHECK(complaint(type, "${error.detail}") == "");
  }
}

TEST_CASE("what is put into XML leaves it well-formed") {
  const auto put = [](const std::string& value) {
    return render(text("text/xml", "${header.X-A:-" + value + "}"));
  };
  const std::string replaced = "\xef\xbf\xbd";
  CHECK(put("a\t\r\n\x7f\xc3\xa9\xf0\x9f\x98\x80") == "a\t\r\n\x7f\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(put("a\x01\x1f.") == "a" + replaced + replaced + ".");
  CHECK(put("a\xff<") == "a" + replaced + "&lt;");
  CHECK(put("\xc3<\xe2\x82") == replaced + "&lt;" + replaced);
  CHECK(put("\xed\xa0\x80") == replaced + replaced + replaced);
  CHECK(put("\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf") == replaced + replaced + replaced);
}

TEST_CASE("a document that cannot be is told when it is compiled") {
  raincheck::config::Documents config;
  config.accepted = json(R"(["${error.type}","${path.customer}","${job.status}"])");
  config.status = text("text/plain", "${request.path}");
  config.error = json(R"(["${job.status}","${path.tenant}","${job.eror.type}","${error.titel}"])");
  CHECK(complaints(config) ==
        "documents.accepted.json: '${error.type}' cannot be used here: it is known only in "
        "documents of errors\n"
        "documents.status.text: '${request.path}' cannot be used here: the job's request is not "
        "at hand\n"
        "documents.error.json: '${job.status}' cannot be used here: it is known only in documents "
        "of a job\n"
        "documents.error.json: the route's path has no parameter 'tenant'; it has 'customer'\n"
        "documents.error.json: '${job.eror.type}' is not known; did you mean "
        "'${job.error.type}'?\n"
        "documents.error.json: '${error.titel}' is not known; did you mean '${error.title}'?\n");
  for (const std::string_view name : {"header.X", "cookie.x", "query.x", "path.customer",
                                      "client.address", "request.url", "request.id"}) {
    config = {};
    config.status = json("\"${" + std::string(name) + "}\"");
    CHECK(complaints(config).find("the job's request is not at hand") != std::string::npos);
  }
  config = {};
  config.accepted = json(R"("${file:/secret}")");
  CHECK(complaints(config).find("is a secret and cannot be used here") != std::string::npos);
}

TEST_CASE("states have the route's words, and another template has another tag") {
  std::vector<RuleProblem> problems;
  raincheck::config::Documents config;
  const auto compiled = [&] { return Documents::compile(config, pattern(), problems); };
  CHECK(compiled().word(State::canceled) == "canceled");
  CHECK(compiled().status_tag() == "");
  config.status = json("1");
  const std::string first = compiled().status_tag();
  CHECK(first.size() == 9);
  CHECK(compiled().status_tag() == first);
  config.states.canceled = "Cancelled";
  CHECK(compiled().word(State::canceled) == "Cancelled");
  CHECK(compiled().word(State::queued) == "queued");
  CHECK(compiled().status_tag() != first);
  CHECK(problems.empty());
}

TEST_CASE("a document that grows beyond what templates may is not rendered") {
  std::vector<RuleProblem> problems;
  Scope scope;
  const Document document =
      Document::compile(text("text/plain", "${query.a}${query.a}"), "d", scope, problems);
  const std::string query = "a=" + std::string(40'000, 'x');
  const DocumentValues of;
  Values request;
  request.target.query = query;
  request.document = &of;
  std::string out;
  CHECK_FALSE(document.render(request, out));
}
