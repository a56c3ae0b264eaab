// What every backend does with jobs whose time is over while they wait.
#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::ErrorType;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using raincheck::jobs::WallTime;
namespace jobs = raincheck::jobs;

using Marks = std::vector<int>;

namespace {

// With a cursor that comes upon nothing, unless the test has it otherwise.
Expire an_expire(std::uint32_t lane, std::int64_t now, std::int64_t patience = 1'000'000) {
  Expire expire;
  Expire::Share& share = expire.shares.emplace_back();
  share.lane = lane;
  share.patience = jobs::milliseconds(patience);
  expire.look_max = 10;
  expire.now = at(now);
  expire.request_retention = jobs::milliseconds(10'000);
  return expire;
}

std::vector<std::uint64_t> sequences(const Expire& expire) {
  std::vector<std::uint64_t> sequences;
  for (const jobs::Place& place : expire.ended) sequences.push_back(place.sequence);
  return sequences;
}

using Sequences = std::vector<std::uint64_t>;

}  // namespace

BACKEND_TEST("jobs at the head whose time is over end, up to the first whose is not") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::vector<JobId> ids;
  for (std::uint8_t mark = 1; mark <= 4; ++mark) {
    Insert insert = an_insert(lane, mark);
    insert.job.start_by = at(mark == 2 ? 99'000 : 1'000 * mark);
    insert.job.finish_by = at(mark == 2 ? 3'000 : 99'000);
    ids.push_back(store.apply(insert).id);
  }
  CHECK(store.apply(an_expire(lane, 999)).ended.empty());
  CHECK(sequences(store.apply(an_expire(lane, 2'999))) == Sequences{1});
  CHECK(store.apply(an_expire(lane, 2'999)).ended.empty());
  const Expire expired = store.apply(an_expire(lane, 3'000));
  CHECK(sequences(expired) == Sequences{2, 3});
  CHECK_FALSE(expired.shares[0].more);
  CHECK(expired.shares[0].queued == 1);
  CHECK(expired.shares[0].oldest == an_insert(lane, 4).job.created_at);
  store.crash();
  const jobs::Job job = store.find(ids[1]).job;
  CHECK(job.state == State::failed);
  CHECK(job.error == ErrorType::expired);
  CHECK(job.attempt == 0);
  CHECK(job.started_at == WallTime());
  CHECK(job.finished_at == at(3'000));
  CHECK(job.expires_at == at(63'000));
  CHECK(store.requests() == 4);
  CHECK(store->lanes()[0].queued == 1);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{4});
  CHECK(store.apply(an_expire(lane, 3'000)).shares[0].oldest == WallTime());
  CHECK(store.apply(a_cancel(ids[0])).was == State::failed);
}

BACKEND_TEST("a cursor ends jobs behind others that may wait longer, and those never start") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const auto insert = [&](std::uint8_t mark, std::int64_t created, std::int64_t start_by) {
    Insert with = an_insert(lane, mark);
    with.job.created_at = at(created);
    with.job.start_by = at(start_by);
    return store.apply(with).id;
  };
  insert(1, 1'000, 50'000);
  insert(2, 1'100, 2'100);
  insert(3, 1'200, 50'000);
  const JobId last = insert(4, 1'300, 2'300);
  Expire expire = an_expire(lane, 2'099, 1'000);
  expire = store.apply(expire);
  CHECK(expire.ended.empty());
  expire.now = at(2'299);
  expire = store.apply(expire);
  CHECK(sequences(expire) == Sequences{2});
  // What is not kept leaves nothing behind, what is kept is out of the queue all the same.
  expire.now = at(2'300);
  expire.request_retention = {};
  expire = store.apply(expire);
  CHECK(sequences(expire) == Sequences{4});
  CHECK(expire.shares[0].from == last.place.sequence + 1);
  CHECK(store.requests() == 3);
  CHECK(store->lanes()[0].queued == 2);
  store.crash();
  CHECK(marks(store.apply(a_claim(lane, 1))) == Marks{1});
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{3});
  CHECK(store.apply(an_insert(lane, 5, true)).outcome == Insert::Outcome::running);
  CHECK(store.apply(a_prune(1'000'000)).count == 3);
  CHECK(store.requests() == 3);
}

BACKEND_TEST("so many are looked at in one go, and there may be more") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (std::uint8_t mark = 1; mark <= 5; ++mark) {
    Insert insert = an_insert(lane, mark);
    insert.job.start_by = at(mark == 1 ? 50'000 : 2'000);
    store.apply(insert);
  }
  Expire expire = an_expire(lane, 2'000, 1'000);
  expire.look_max = 3;
  expire = store.apply(expire);
  CHECK(sequences(expire) == Sequences{2, 3});
  CHECK(expire.shares[0].more);
  expire = store.apply(expire);
  CHECK(sequences(expire) == Sequences{4, 5});
  CHECK_FALSE(expire.shares[0].more);
}

BACKEND_TEST("when so many were looked at in all, no further lane is begun") {
  UnderTest store;
  Expire expire;
  expire.look_max = 2;
  expire.now = at(2'000);
  for (const char* const route : {"a", "b", "c", "d"}) {
    const auto lane = open_lane(*store, "reports", route);
    expire.shares.push_back(an_expire(lane, 0).shares.front());
    Insert insert = an_insert(lane, 1);
    insert.job.start_by = at(2'000);
    store.apply(insert);
  }
  // One that is not over is seen, too, and costs nothing.
  store.apply(an_insert(expire.shares[0].lane, 2));
  const Expire expired = store.apply(expire);
  CHECK(expired.done == 2);
  REQUIRE(expired.ended.size() == 2);
  CHECK(expired.ended[0].lane == expire.shares[0].lane);
  CHECK(expired.ended[1].lane == expire.shares[1].lane);
  CHECK(expired.shares[0].oldest == at(1'000));
  expire.shares.erase(expire.shares.begin(), expire.shares.begin() + 2);
  CHECK(store.apply(expire).ended.size() == 2);
}

BACKEND_TEST("a retry that is due ends when its time is over, whatever waits before it") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId begun = store.apply(an_insert(lane, 1, true)).id;
  REQUIRE(store.apply(a_requeue(a_fence(begun, 1), 2'000)).applied);
  const JobId given_back = store.apply(an_insert(lane, 2, true)).id;
  REQUIRE(store.apply(a_requeue(a_fence(given_back, 1), 2'000, false)).applied);
  const JobId later = store.apply(an_insert(lane, 3, true)).id;
  REQUIRE(store.apply(a_requeue(a_fence(later, 1), 95'000)).applied);
  CHECK(store.apply(an_expire(lane, 49'999)).ended.empty());
  // Its first attempt was none: its queue_timeout holds still.
  CHECK(sequences(store.apply(an_expire(lane, 50'000))) == Sequences{2});
  CHECK(sequences(store.apply(an_expire(lane, 90'000))) == Sequences{1});
  CHECK(store->lanes()[0].queued == 1);
  CHECK(store->lanes()[0].next_due == at(95'000));
  CHECK(store.find(begun).job.attempt == 1);
  CHECK(store.find(begun).job.error == ErrorType::expired);
  CHECK(store.apply(a_claim(lane, 10, 94'999)).jobs.empty());
}

BACKEND_TEST("all that wait in the lane of a removed route end, a few at a time") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const auto other = open_lane(*store, "reports", "other");
  const JobId running = store.apply(an_insert(lane, 1, true)).id;
  const JobId later = store.apply(an_insert(lane, 2, true)).id;
  REQUIRE(store.apply(a_requeue(a_fence(later, 1), 80'000)).applied);
  for (std::uint8_t mark = 3; mark <= 7; ++mark) store.apply(an_insert(lane, mark));
  store.apply(an_insert(other, 8));
  Expire expire = an_expire(lane, 2'000, 0);
  expire.error = ErrorType::route_removed;
  expire.look_max = 2;
  std::size_t ended = 0;
  do {
    expire = store.apply(expire);
    ended += expire.ended.size();
    CHECK(expire.ended.size() > 0);
  } while (expire.shares[0].queued != 0);
  CHECK(ended == 6);
  store.crash();
  CHECK(store.find(later).job.error == ErrorType::route_removed);
  CHECK(store.find(later).job.finished_at == at(2'000));
  CHECK(store.find(running).job.state == State::running);
  CHECK(store->lanes()[0].queued == 0);
  CHECK(marks(store.apply(a_claim(other, 10))) == Marks{8});
}
