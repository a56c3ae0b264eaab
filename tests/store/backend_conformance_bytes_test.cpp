// What every backend does: bytes, limits, and the files of the spool.
#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
namespace jobs = raincheck::jobs;

using Marks = std::vector<int>;

BACKEND_TEST("bytes of every kind come back as they went in") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  std::string large;
  for (int i = 0; i < 300; ++i) large += all;
  for (const std::string& body : {std::string(), all, large}) {
    Insert insert = an_insert(lane, 1);
    insert.job.body = jobs::Body::inline_bytes(body);
    insert.job.head = body;
    insert.job.request_id = std::string("\xff\xfe", 2);
    const JobId id = store.apply(insert).id;
    const Claim claim = store.apply(a_claim(lane, 1));
    REQUIRE(claim.jobs.size() == 1);
    CHECK(claim.jobs[0].body.bytes == body);
    CHECK(claim.jobs[0].head == body);
    CHECK(claim.jobs[0].request_id == insert.job.request_id);
    Finish finish = a_finish(a_fence(id, 1));
    finish.response.body = jobs::Body::inline_bytes(body);
    finish.response.head = body;
    REQUIRE(store.apply(finish).applied);
    const Find found = store.find(id, true);
    CHECK(found.job.response.body.bytes == body);
    CHECK(found.job.response.body.size == body.size());
    CHECK(found.job.response.head == body);
  }
}

BACKEND_TEST("new jobs are refused at the store's limit, and those that there are go on") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(with_key(an_insert(lane, 1, true), 1, 1)).id;
  store.close();
  store.set_limits({1, 0, 0});
  store.open();
  const std::uint64_t epoch = store->orphans()[0].epoch;
  CHECK(store.apply(an_insert(lane, 2)).refused);
  const Insert known = store.apply(with_key(an_insert(lane, 2), 1, 1));
  CHECK_FALSE(known.refused);
  CHECK(known.outcome == Insert::Outcome::existed);
  CHECK(store.apply(a_finish(a_fence(id, 1, epoch))).applied);
  CHECK(store.apply(an_erase(id)).presence == Presence::present);
  CHECK(store->lanes()[0].queued == 0);
}

BACKEND_TEST("a refused job in a batch does not hold back the others") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const std::uint64_t before = store->bytes();
  store.close();
  store.set_limits({before + 100'000, 0, 0});
  store.open();
  Command large(an_insert(lane, 1));
  std::get<Insert>(large).job.body = jobs::Body::inline_bytes(std::string(1'000'000, 'x'));
  Command small(an_insert(lane, 2));
  Command* batch[] = {&large, &small};
  REQUIRE(store->apply(batch).has_value());
  CHECK(std::get<Insert>(large).refused);
  CHECK_FALSE(std::get<Insert>(small).refused);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{2});
}

BACKEND_TEST("the key of the ids stays the same") {
  UnderTest store;
  const jobs::IdCodec::Secret secret = store->secret();
  store.reopen();
  CHECK(store->secret() == secret);
  UnderTest other;
  CHECK(other->secret() != secret);
}

namespace {

template <class UnderTest>
std::unique_ptr<SpoolWriter> write_file(UnderTest& store, const std::string& bytes) {
  auto writer = store.spool().create(SpoolUse::accepted);
  REQUIRE(writer.has_value());
  REQUIRE((*writer)->append(bytes).has_value());
  REQUIRE((*writer)->sync().has_value());
  return std::move(*writer);
}

template <class UnderTest>
bool has_file(UnderTest& store, std::uint64_t number) {
  return store.spool().open(number).has_value();
}

jobs::Body spooled(const SpoolWriter& writer) {
  jobs::Body body;
  body.spool = writer.number();
  body.size = writer.size();
  return body;
}

}  // namespace

BACKEND_TEST(
    "a spooled request stays until the job succeeds, a spooled result until it is erased") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto request = write_file(store, "a large request");
  Insert insert = an_insert(lane, 1, true);
  insert.job.body = spooled(*request);
  const JobId id = store.apply(insert).id;
  const std::uint64_t request_number = request->number();
  // Its writer's end removes nothing that a commit names, even if nobody said release().
  request.reset();
  CHECK(has_file(store, request_number));
  store.crash();
  CHECK(has_file(store, request_number));
  const auto orphans = store->orphans();
  CHECK(orphans[0].job.body.spool == request_number);
  auto result = write_file(store, "a large result");
  Finish finish = a_finish(a_fence(id, 1, orphans[0].epoch));
  finish.response.body = spooled(*result);
  CHECK(store.apply(finish).applied);
  result->release();
  const std::uint64_t result_number = result->number();
  result.reset();
  CHECK(store->checkpoint_due());
  store->checkpoint();
  CHECK_FALSE(has_file(store, request_number));
  CHECK(store.find(id).job.response.body.spool == result_number);
  CHECK(store.find(id).job.response.body.size == 14);
  store.crash();
  CHECK(has_file(store, result_number));
  store.apply(an_erase(id));
  store->checkpoint();
  CHECK_FALSE(has_file(store, result_number));
  CHECK(store.spool().bytes() == 0);
}

BACKEND_TEST("a failed job keeps its spooled request until it is erased") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto request = write_file(store, "a large request");
  Insert insert = an_insert(lane, 1, true);
  insert.job.body = spooled(*request);
  const JobId id = store.apply(insert).id;
  CHECK(store.apply(a_finish(a_fence(id, 1), State::failed)).applied);
  store->checkpoint();
  CHECK(has_file(store, request->number()));
  CHECK(store.apply(a_prune(1'000'000)).count == 1);
  store->checkpoint();
  CHECK_FALSE(has_file(store, request->number()));
}

BACKEND_TEST("a failed job keeps its request for as long as it is told, and the result longer") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto request = write_file(store, "a large request");
  Insert insert = an_insert(lane, 1, true);
  insert.job.body = spooled(*request);
  const std::uint64_t number = request->number();
  const JobId id = store.apply(insert).id;
  request.reset();
  Finish finish = a_finish(a_fence(id, 1), State::failed);
  finish.request_retention = jobs::milliseconds(2'000);
  CHECK(store.apply(finish).applied);
  store.crash();
  CHECK(store.apply(a_prune(4'999)).count == 0);
  CHECK(store.requests() == 1);
  CHECK(has_file(store, number));
  CHECK(store.apply(a_prune(5'000)).count == 1);
  store->checkpoint();
  store.crash();
  CHECK(store.requests() == 0);
  CHECK_FALSE(has_file(store, number));
  CHECK(store.find(id, true).job.response.body.bytes == "the answer");
  CHECK(store.apply(a_prune(13'000)).count == 1);
  CHECK(store.find(id).presence == Presence::gone);
}

BACKEND_TEST("a request that is not to be kept is erased as its job fails, its file too") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto request = write_file(store, "a large request");
  Insert insert = an_insert(lane, 1, true);
  insert.job.body = spooled(*request);
  const std::uint64_t number = request->number();
  const JobId id = store.apply(insert).id;
  request.reset();
  Finish finish = a_finish(a_fence(id, 1), State::failed);
  finish.request_retention = {};
  CHECK(store.apply(finish).applied);
  CHECK(store.requests() == 0);
  store->checkpoint();
  CHECK_FALSE(has_file(store, number));
  store.crash();
  CHECK(store.spool().bytes() == 0);
  CHECK(store.find(id).job.state == State::failed);
  CHECK(store.apply(a_prune(1'000'000)).count == 1);
}

BACKEND_TEST("a request is kept no longer than its job") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (const bool erased : {false, true}) {
    const JobId id = store.apply(an_insert(lane, 1, true)).id;
    Finish finish = a_finish(a_fence(id, 1), State::failed);
    finish.request_retention = jobs::milliseconds(erased ? 1'000 : 20'000);
    CHECK(store.apply(finish).applied);
    CHECK(store.requests() == 1);
    if (erased) store.apply(an_erase(id));
    CHECK(store.apply(a_prune(13'000)).count == 1);
    CHECK(store.requests() == 0);
    CHECK(store.apply(a_prune(1'000'000)).count == 0);
  }
}

BACKEND_TEST("a file that no row names is removed at the next start") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto orphan = write_file(store, "never committed");
  auto request = write_file(store, "committed");
  Insert insert = an_insert(lane, 1);
  insert.job.body = spooled(*request);
  store.apply(insert);
  const std::uint64_t orphan_number = orphan->number();
  const std::uint64_t request_number = request->number();
  orphan->release();
  orphan.reset();
  request.reset();
  store.crash();
  CHECK_FALSE(has_file(store, orphan_number));
  CHECK(has_file(store, request_number));
  CHECK(store.spool().bytes() == 9);
}

BACKEND_TEST("a result that a lost attempt brought leaves no file") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  store.apply(a_cancel(id));
  auto result = write_file(store, "too late");
  Finish finish = a_finish(a_fence(id, 1));
  finish.response.body = spooled(*result);
  CHECK_FALSE(store.apply(finish).applied);
  const std::uint64_t number = result->number();
  result.reset();
  CHECK_FALSE(has_file(store, number));
}

BACKEND_TEST("the history of a job is what its attempts have said last, however it ends") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const auto id = store.apply(an_insert(lane, 1, true)).id;
  CHECK(store.find(id).job.history.empty());
  Requeue requeue = a_requeue(a_fence(id, 1), 1'500);
  requeue.history = "one\n";
  CHECK(store.apply(requeue).applied);
  CHECK(store.find(id).job.history == "one\n");
  const Claim claimed = store.apply(a_claim(lane, 1));
  REQUIRE(claimed.jobs.size() == 1);
  CHECK(claimed.jobs[0].history == "one\n");
  store.crash();
  const auto orphans = store->orphans();
  REQUIRE(orphans.size() == 1);
  CHECK(orphans[0].job.history == "one\n");

  SUBCASE("by an attempt") {
    Finish finish = a_finish(Fence{id.place, 2, orphans[0].epoch});
    finish.history = "one\ntwo\n";
    CHECK(store.apply(finish).applied);
    CHECK(store.find(id).job.history == "one\ntwo\n");
  }
  SUBCASE("by an attempt that says nothing") {
    CHECK(store.apply(a_requeue(Fence{id.place, 2, orphans[0].epoch}, 1'500)).applied);
    CHECK(store.find(id).job.history == "one\n");
  }
  SUBCASE("by a cancel") {
    CHECK(store.apply(a_cancel(id)).job.history == "one\n");
    CHECK(store.find(id).job.history == "one\n");
  }
}

BACKEND_TEST("a request is given back as long as it is kept, with what it repeats") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  Insert insert = an_insert(lane, 1, true);
  insert.job.redrive_of = "another";
  const auto id = store.apply(insert).id;
  const auto found = [&] {
    Find command;
    command.id = id;
    command.with_request = true;
    Find* batch = &command;
    REQUIRE(store->find(std::span(&batch, 1)).has_value());
    return command.job;
  };
  CHECK(found().head == insert.job.head);
  CHECK(found().body.bytes == insert.job.body.bytes);
  CHECK(found().redrive_of == "another");
  CHECK(store.find(id).job.head.empty());
  Finish finish = a_finish(a_fence(id, 1), State::failed);
  finish.request_retention = jobs::milliseconds(10);
  CHECK(store.apply(finish).applied);
  CHECK(found().head == insert.job.head);
  CHECK(found().body.bytes == insert.job.body.bytes);
  CHECK(found().redrive_of == "another");
  store.apply(a_prune(finish.now.time_since_epoch().count() + 10, 10));
  CHECK(found().state == State::failed);
  CHECK(found().head.empty());
}

BACKEND_TEST("jobs are listed by what they failed of") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const auto id = store.apply(an_insert(lane, 1, true)).id;
  store.apply(an_insert(lane, 2));
  Finish finish = a_finish(a_fence(id, 1), State::failed);
  finish.error = jobs::ErrorType::outcome_unknown;
  CHECK(store.apply(finish).applied);
  const auto count = [&](jobs::ErrorType error) {
    List list;
    list.error = error;
    REQUIRE(store->list(list).has_value());
    return list.jobs.size();
  };
  CHECK(count(jobs::ErrorType::outcome_unknown) == 1);
  CHECK(count(jobs::ErrorType::expired) == 0);
}

BACKEND_TEST("a job is found by its labels until it is erased, however it ends") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  store.apply(an_insert(lane, 1, true));
  const auto succeeded = store.apply(labeled(an_insert(lane, 2, true))).id;
  const auto canceled = store.apply(labeled(an_insert(lane, 3))).id;
  Insert late = labeled(an_insert(lane, 4), "customer=17\n");
  late.job.start_by = at(2'500);
  const auto expired = store.apply(late).id;
  const auto queued = store.apply(labeled(an_insert(lane, 5), "kind=a\n")).id;
  const auto marks_with = [&](const char* label) {
    List list;
    list.label = label;
    REQUIRE(store->list(list).has_value());
    std::vector<int> marks;
    for (const jobs::Job& job : list.jobs) marks.push_back(job.id.random[0]);
    std::sort(marks.begin(), marks.end());
    return marks;
  };
  const auto check_all = [&] {
    CHECK(marks_with("customer=17") == std::vector<int>{2, 3, 4});
    CHECK(marks_with("kind=a") == std::vector<int>{2, 3, 5});
    CHECK(marks_with("kind=").empty());
    CHECK(store.find(succeeded).job.labels == "customer=17\nkind=a\n");
    CHECK(store.find(expired).job.labels == "customer=17\n");
  };
  check_all();
  store.apply(a_finish(a_fence(succeeded, 1)));
  store.apply(a_cancel(canceled));
  Expire expire;
  expire.shares.emplace_back().lane = lane;
  expire.look_max = 10;
  expire.now = at(3'000);
  CHECK(store.apply(expire).ended.size() == 1);
  check_all();
  store.crash();
  check_all();
  const Claim claim = store.apply(a_claim(lane, 1, 4'000));
  REQUIRE(claim.jobs.size() == 1);
  CHECK(claim.jobs[0].labels == "kind=a\n");
  store.apply(an_erase(succeeded));
  CHECK(marks_with("customer=17") == std::vector<int>{3, 4});
  store.apply(a_prune(1'000'000, 10));
  CHECK(marks_with("customer=17").empty());
  CHECK(marks_with("kind=a") == std::vector<int>{5});
  CHECK(store.find(queued).job.labels == "kind=a\n");
}

BACKEND_TEST("that requests for a job are authorized is known for as long as the job is kept") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  Insert insert = an_insert(lane, 1, true);
  insert.job.authorizes_polls = true;
  const auto guarded = store.apply(insert).id;
  const auto open = store.apply(an_insert(lane, 2)).id;
  const auto check = [&](const jobs::JobId& id, bool is_guarded) {
    CHECK(store.find(id).job.authorizes_polls == is_guarded);
    CHECK(store.find(id, true).job.authorizes_polls == is_guarded);
  };
  check(guarded, true);
  check(open, false);
  store.apply(a_finish(a_fence(guarded, 1)));
  store.apply(a_cancel(open));
  store.crash();
  check(guarded, true);
  check(open, false);
}
