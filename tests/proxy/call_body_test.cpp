#include "proxy/call_body.hpp"

#include <doctest/doctest.h>

#include "tests/routes/templates.hpp"
#include "tests/support/proxy_fixture.hpp"

using namespace raincheck;
using namespace raincheck::test;
using jobs::Fault;
using jobs::Result;
using proxy::awaitable;
using proxy::CallBody;
using routes::tests::json_of;
using routes::tests::text_of;

namespace {

struct Made {
  std::optional<jobs::Error> error;
  int status = 0;
  bool in_memory = false;
  std::uint64_t size = 0;
  std::vector<std::string> sent;  // each time that it was
};

awaitable<void> send(CallBody& body, std::vector<std::string>& sent) {
  std::string all;
  if (body.in_memory()) {
    all = body.bytes();
  } else {
    body.rewind();
    while (true) {
      const Result<std::string_view> piece = co_await body.next();
      REQUIRE(piece.has_value());
      if (piece->empty()) break;
      all.append(*piece);
    }
  }
  sent.push_back(all);
}

awaitable<void> make(proxy::ShardContext& context,
                     proxy::RouteCall& routed,
                     std::string bytes,
                     bool is_trial,
                     Made& made) {
  proxy::BodyWriter writer(context.store, 16);
  const Result<void> kept = co_await writer.append(bytes);
  REQUIRE(kept.has_value());
  const jobs::Body stored = writer.name();
  CallBody body(context, context.bodies.calls, stored, &routed);
  const proxy::TimePoint at_once{};
  const bool is_aborted = false;
  Result<void> begun;
  if (is_trial) {
    begun = co_await body.try_out();
  } else {
    begun = co_await body.begin(at_once, is_aborted);
  }
  made.status = body.status();
  if (!begun) {
    made.error = begun.error();
    co_return;
  }
  made.in_memory = body.in_memory();
  made.size = body.size();
  if (is_trial) co_return;
  co_await send(body, made.sent);
  co_await send(body, made.sent);
}

class Fixture {
 public:
  config::BodyRules& rules() { return proxy_.config.routes[0].request_body; }
  void start() { proxy_.start(); }
  proxy::BodyBudget& budget() { return proxy_->shard().services().context.bodies.calls; }

  // The body of PUT /safe/a with these fields: inline up to 16 bytes, else spooled.
  Made made(const std::string& fields, const std::string& bytes, bool is_trial = false) {
    const std::string stored = "PUT /safe/a\r\n" + fields;
    TestShard& shard = proxy_->shard();
    proxy::RouteCall routed(shard.services().context.warnings, proxy_->site(),
                            *proxy_->site().find("safe"), stored, "the-request", "the-job");
    Made out;
    store::spawn(shard.io(), make(shard.services().context, routed, bytes, is_trial, out),
                 [](const std::exception_ptr& failed) { CHECK_FALSE(failed); });
    proxy_->run();
    return out;
  }

 private:
  ProxyFixture proxy_;
};

const std::string text = "Content-Type: text/plain\r\n";
const std::string json = "Content-Type: application/json\r\n";
const std::string gzip = "Content-Encoding: gzip\r\n";

}  // namespace

TEST_CASE("text is replaced in a stored body of any size, the same each time, with its length") {
  Fixture fixture;
  fixture.rules().replace = {{"old", text_of("${request.id}"), {}}, {"gone", text_of(""), {}}};
  fixture.start();
  const auto repeat = [](std::string_view word, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += word;
    return all;
  };
  struct Row {
    std::string body;
    std::string sent;
  };
  const Row rows[] = {
      {"", ""},
      {"old", "the-request"},
      {"gone", ""},
      {repeat("gone", 100'000), ""},
      {repeat("xold", 1'000), repeat("xthe-request", 1'000)},
      {repeat("xold", 100'000), repeat("xthe-request", 100'000)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.body.size());
    const Made made = fixture.made(text, row.body);
    REQUIRE_FALSE(made.error);
    CHECK(made.size == row.sent.size());
    CHECK((made.sent == std::vector<std::string>{row.sent, row.sent}));
    CHECK(made.in_memory == (row.body.size() <= 16));
    const Made other = fixture.made("Content-Type: image/png\r\n", row.body);
    CHECK((other.sent == std::vector<std::string>{row.body, row.body}));
  }
}

TEST_CASE("JSON is changed in memory, spooled or not, up to max_size") {
  Fixture fixture;
  fixture.rules().max_size = 100;
  fixture.rules().merge_patch = json_of(R"({"by":"${job.id}"})");
  fixture.start();
  CHECK(fixture.made(json, "{}").sent.at(1) == R"({"by":"the-job"})");
  const Made spooled = fixture.made(json, R"({"a":"0123456789"})");
  CHECK(spooled.in_memory);
  CHECK(spooled.sent.at(1) == R"({"a":"0123456789","by":"the-job"})");
  const std::string longest = "{" + std::string(98, ' ') + "}";
  CHECK(fixture.made(json, longest).sent.at(0) == R"({"by":"the-job"})");
  CHECK(fixture.made(json, longest + " ").sent.at(0) == longest + " ");
}

TEST_CASE("a body that cannot be changed passes, or is refused with a status for its sender") {
  struct Row {
    std::string fields;
    std::string body;
    int status;
  };
  const Row rows[] = {
      {json, "{cut", 422},
      {json, "{}", 422},
      {json, R"({"a":1})" + std::string(2'000, ' '), 413},
      {json + gzip, R"({"a":1})", 415},
      {json + "Content-Encoding: zstd\r\n", R"({"a":1})", 415},
      {json + "Content-Range: bytes 0-6/9\r\n", R"({"a":1})", 422},
      {text + gzip, "old, and not coded", 415},
  };
  for (const bool refuses : {true, false}) {
    Fixture fixture;
    fixture.rules().max_size = 1'024;
    fixture.rules().on_failure = refuses ? config::OnFailure::refuse : config::OnFailure::pass;
    fixture.rules().json_patch.push_back(
        {config::PatchOp::replace, "/a", "", json_of("2"), false, {}});
    fixture.rules().replace = {{"old", text_of("new"), {}}};
    fixture.start();
    for (const Row& row : rows) {
      CAPTURE(row.fields);
      CAPTURE(row.body);
      const Made tried = fixture.made(row.fields, row.body, true);
      const Made made = fixture.made(row.fields, row.body);
      CHECK(tried.status == (refuses ? row.status : 0));
      CHECK(made.status == (refuses ? row.status : 0));
      CHECK(made.error.has_value() == refuses);
      if (refuses) {
        CHECK(made.error->fault == Fault::internal);
      } else {
        CHECK(made.sent.at(1) == row.body);
      }
    }
    // A trial of what cannot fail reads nothing.
    CHECK_FALSE(fixture.made(text, "old and any", true).error);
  }
}

TEST_CASE("a body has its share of memory for as long as it is there whole, or there is no call") {
  Fixture fixture;
  fixture.rules().merge_patch = json_of(R"({"by":1})");
  fixture.rules().on_failure = config::OnFailure::refuse;
  fixture.start();
  std::optional<proxy::BodyBudget::Share> others(std::in_place, fixture.budget());
  REQUIRE(others->take(fixture.budget().max() - 7));
  CHECK(fixture.made(json, R"({"a":1})").sent.at(1) == R"({"a":1,"by":1})");
  REQUIRE(others->take(1));
  for (const bool is_trial : {true, false}) {
    const Made made = fixture.made(json, R"({"a":1})", is_trial);
    REQUIRE(made.error);
    CHECK(made.error->fault == Fault::overloaded);
  }
  CHECK(fixture.made(text, "of another type").sent.at(0) == "of another type");
  others.reset();
  CHECK(fixture.made(json, R"({"a":1})").sent.at(1) == R"({"a":1,"by":1})");
}

TEST_CASE("a secret that cannot be read is ours to mend, whatever becomes of bodies") {
  Fixture fixture;
  fixture.rules().replace = {
      {"old", {{{true, "file:/nowhere/at/all"}}, "${file:/nowhere/at/all}", {}}, {}}};
  fixture.start();
  for (const bool is_trial : {true, false}) {
    const Made made = fixture.made(text, "old", is_trial);
    REQUIRE(made.error);
    CHECK(made.status == 500);
    CHECK(made.error->fault == Fault::internal);
  }
}
