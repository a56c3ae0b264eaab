// What every backend does, whatever it keeps its jobs in: attempts, ends, keys.
#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::ErrorType;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
using raincheck::jobs::WallTime;
namespace jobs = raincheck::jobs;

using Marks = std::vector<int>;

BACKEND_TEST("jobs are claimed in the order of their submission, with everything but a response") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (std::uint8_t mark = 1; mark <= 5; ++mark) {
    const Insert inserted = store.apply(an_insert(lane, mark));
    CHECK(inserted.outcome == Insert::Outcome::queued);
  }
  const Claim first = store.apply(a_claim(lane, 2));
  CHECK(marks(first) == Marks{1, 2});
  CHECK(first.shares[0].queued == 3);
  CHECK(first.shares[0].due == WallTime());
  const jobs::Job& job = first.jobs[1];
  CHECK(job.state == State::running);
  CHECK(job.attempt == 1);
  CHECK(job.created_at == at(1'000));
  CHECK(job.started_at == at(2'000));
  CHECK(job.start_by == at(50'000));
  CHECK(job.finish_by == at(90'000));
  CHECK(job.may_resend);
  CHECK(job.route == "route");
  CHECK(job.request_id == "request-2");
  CHECK(job.head == "POST /reports/2\r\n");
  CHECK(job.body.bytes == "request body 2");
  CHECK(job.body.size == 14);
  CHECK(marks(store.apply(a_claim(lane, 100))) == Marks{3, 4, 5});
  CHECK(store.apply(a_claim(lane, 100)).jobs.empty());
}

BACKEND_TEST("the order of a lane survives an end and a crash") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (std::uint8_t mark = 1; mark <= 6; ++mark) store.apply(an_insert(lane, mark));
  CHECK(marks(store.apply(a_claim(lane, 2))) == Marks{1, 2});
  store.reopen();
  CHECK(store->lanes()[0].queued == 4);
  CHECK(marks(store.apply(a_claim(lane, 2))) == Marks{3, 4});
  store.crash();
  store.apply(an_insert(lane, 7));
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{5, 6, 7});
}

BACKEND_TEST("a job starts at once only when nothing is queued before it") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const Insert first = store.apply(an_insert(lane, 1, true));
  CHECK(first.outcome == Insert::Outcome::running);
  CHECK(store.find(first.id).job.attempt == 1);
  CHECK(store.find(first.id).job.started_at == at(1'000));
  CHECK(store.apply(an_insert(lane, 2)).outcome == Insert::Outcome::queued);
  CHECK(store.apply(an_insert(lane, 3, true)).outcome == Insert::Outcome::queued);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{2, 3});
  CHECK(store.apply(an_insert(lane, 4, true)).outcome == Insert::Outcome::running);
  CHECK(store.apply(a_claim(lane, 10)).jobs.empty());
}

BACKEND_TEST("a retry that is due goes before a job that would start at once, a later one not") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const Insert first = store.apply(an_insert(lane, 1, true));
  REQUIRE(store.apply(a_requeue(a_fence(first.id, 1), 1'001)).applied);
  CHECK(store.apply(an_insert(lane, 2, true)).outcome == Insert::Outcome::running);
  const Insert again = store.apply(an_insert(lane, 3, true));
  REQUIRE(store.apply(a_requeue(a_fence(again.id, 1), 1'000)).applied);
  CHECK(store.apply(an_insert(lane, 4, true)).outcome == Insert::Outcome::queued);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{3, 1, 4});
}

BACKEND_TEST("a call that is under way is running, whatever retry would go first") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const Insert first = store.apply(an_insert(lane, 1, true));
  REQUIRE(store.apply(a_requeue(a_fence(first.id, 1), 500)).applied);
  Insert held = an_insert(lane, 2, true);
  held.under_way = true;
  CHECK(store.apply(held).outcome == Insert::Outcome::running);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{1});
}

BACKEND_TEST("a success keeps the result and erases the request") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  CHECK(store.apply(a_finish(a_fence(id, 1))).applied);
  for (int round = 0; round < 2; ++round) {
    const Find found = store.find(id, true);
    REQUIRE(found.presence == Presence::present);
    CHECK(found.job.state == State::succeeded);
    CHECK(found.job.error == ErrorType::none);
    CHECK(found.job.attempt == 1);
    CHECK(found.job.created_at == at(1'000));
    CHECK(found.job.started_at == at(1'000));
    CHECK(found.job.finished_at == at(3'000));
    CHECK(found.job.expires_at == at(13'000));
    CHECK(found.job.route == "route");
    CHECK(found.job.request_id == "request-1");
    CHECK(found.job.response.status == 200);
    CHECK(found.job.response.head == "Content-Type: text/plain\r\n");
    CHECK(found.job.response.body.bytes == "the answer");
    CHECK(found.job.head.empty());
    store.crash();
  }
  const Find without = store.find(id);
  CHECK(without.job.response.status == 200);
  CHECK(without.job.response.body.size == 10);
  CHECK(without.job.response.body.bytes.empty());
  CHECK(store->orphans().empty());
}

BACKEND_TEST("a failure without an answer has an error and no response") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  Finish finish;
  finish.fence = a_fence(id, 1);
  finish.error = ErrorType::outcome_unknown;
  finish.now = at(3'000);
  CHECK(store.apply(finish).applied);
  const Find found = store.find(id, true);
  CHECK(found.job.state == State::failed);
  CHECK(found.job.error == ErrorType::outcome_unknown);
  CHECK(found.job.response.status == 0);
  // Without a retention of its own it is the job's.
  CHECK(found.job.expires_at == at(63'000));
}

BACKEND_TEST("only the present attempt in its epoch ends a job") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1)).id;
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 0))).applied);
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 1))).applied);
  CHECK_FALSE(store.apply(a_requeue(a_fence(id, 1), 5)).applied);
  store.apply(a_claim(lane, 1));
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 2))).applied);
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 1, 999))).applied);
  CHECK(store.find(id).job.state == State::running);
  CHECK(store.apply(a_finish(a_fence(id, 1))).applied);
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 1), State::failed)).applied);
  CHECK_FALSE(store.apply(a_requeue(a_fence(id, 1), 5)).applied);
  CHECK(store.find(id).job.state == State::succeeded);
}

BACKEND_TEST("an attempt of an earlier process ends under that process's epoch only") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId first = store.apply(an_insert(lane, 1, true)).id;
  const JobId second = store.apply(an_insert(lane, 2, true)).id;
  store.apply(an_insert(lane, 3));
  store.crash();
  const std::vector<Backend::Orphan> orphans = store->orphans();
  REQUIRE(orphans.size() == 2);
  CHECK(orphans[0].job.id == first);
  CHECK(orphans[0].job.attempt == 1);
  CHECK(orphans[0].job.route == "route");
  CHECK(orphans[0].job.may_resend);
  CHECK(orphans[0].job.finish_by == at(90'000));
  CHECK_FALSE(store.apply(a_finish(a_fence(first, 1))).applied);
  CHECK(store.apply(a_finish(a_fence(first, 1, orphans[0].epoch))).applied);
  CHECK(store.apply(a_requeue(a_fence(second, 1, orphans[1].epoch), 1)).applied);
  CHECK(marks(store.apply(a_claim(lane, 10))) == Marks{2, 3});
  store.crash();
  CHECK(store->orphans().size() == 2);
}

BACKEND_TEST("a retry waits until it is due and then goes first") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  store.apply(an_insert(lane, 2));
  CHECK(store.apply(a_requeue(a_fence(id, 1), 5'000)).applied);
  const Find waiting = store.find(id);
  CHECK(waiting.job.state == State::queued);
  CHECK(waiting.job.due_at == at(5'000));
  CHECK(waiting.job.attempt == 1);
  CHECK(waiting.job.started_at == at(1'000));
  store.crash();
  CHECK(store->lanes()[0].queued == 2);
  CHECK(store->lanes()[0].next_due == at(5'000));
  store.apply(an_insert(lane, 3));
  const Claim early = store.apply(a_claim(lane, 1, 4'999));
  CHECK(marks(early) == Marks{2});
  CHECK(early.shares[0].queued == 2);
  CHECK(early.shares[0].due == WallTime());
  CHECK(store.apply(a_claim(lane, 1, 4'999)).shares[0].due == at(5'000));
  store.apply(an_insert(lane, 4));
  const Claim due = store.apply(a_claim(lane, 2, 5'000));
  CHECK(marks(due) == Marks{1, 4});
  CHECK(due.jobs[0].attempt == 2);
  CHECK(due.jobs[0].due_at == WallTime());
  CHECK(due.jobs[0].body.bytes == "request body 1");
  CHECK(due.shares[0].queued == 0);
  CHECK(due.shares[0].due == WallTime());
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 1))).applied);
  CHECK(store.apply(a_finish(a_fence(id, 2))).applied);
}

BACKEND_TEST("an attempt that does not count is given back") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  CHECK(store.apply(a_requeue(a_fence(id, 1), 10, false)).applied);
  CHECK(store.find(id).job.attempt == 0);
  CHECK(store.apply(a_claim(lane, 1)).jobs[0].attempt == 1);
}

BACKEND_TEST("where a backend tells of a call outlives crashes and goes with every later attempt") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  CHECK(store.apply(a_follow(a_fence(id, 1), "10.0.0.1:80 /operations/7 ")).applied);
  store.crash();
  const std::vector<Backend::Orphan> orphans = store->orphans();
  REQUIRE(orphans.size() == 1);
  CHECK(orphans[0].job.monitor == "10.0.0.1:80 /operations/7 ");
  CHECK(store.apply(a_requeue(a_fence(id, 1, orphans[0].epoch), 1)).applied);
  CHECK(store.find(id).job.monitor == "10.0.0.1:80 /operations/7 ");
  const Claim again = store.apply(a_claim(lane, 1));
  REQUIRE(again.jobs.size() == 1);
  CHECK(again.jobs[0].attempt == 2);
  CHECK(again.jobs[0].monitor == "10.0.0.1:80 /operations/7 ");
  CHECK(store.apply(a_follow(a_fence(id, 2), "10.0.0.1:80 /operations/8 ")).applied);
  CHECK(store.find(id).job.monitor == "10.0.0.1:80 /operations/8 ");
}

BACKEND_TEST("only the present attempt of a running job says where its backend tells of it") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  CHECK_FALSE(store.apply(a_follow(a_fence(id, 2), "10.0.0.1:80 /a ")).applied);
  CHECK_FALSE(store.apply(a_follow(a_fence(id, 1, 999), "10.0.0.1:80 /a ")).applied);
  store.apply(a_requeue(a_fence(id, 1), 5'000));
  CHECK_FALSE(store.apply(a_follow(a_fence(id, 1), "10.0.0.1:80 /a ")).applied);
  CHECK(store.find(id).job.monitor.empty());
  store.apply(a_cancel(id));
  CHECK_FALSE(store.apply(a_follow(a_fence(id, 1), "10.0.0.1:80 /a ")).applied);
}

BACKEND_TEST("a due time of long ago, or none, is at once") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  CHECK(store.apply(a_requeue(a_fence(id, 1), 0)).applied);
  CHECK(store.find(id).job.state == State::queued);
  CHECK(marks(store.apply(a_claim(lane, 1))) == Marks{1});
}

BACKEND_TEST("a canceled job in the queue is skipped and keeps its place in nobody's way") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::vector<JobId> ids;
  for (std::uint8_t mark = 1; mark <= 4; ++mark) {
    ids.push_back(store.apply(an_insert(lane, mark)).id);
  }
  const Cancel canceled = store.apply(a_cancel(ids[1]));
  CHECK(canceled.presence == Presence::present);
  CHECK(canceled.was == State::queued);
  CHECK(canceled.job.state == State::canceled);
  CHECK(canceled.job.finished_at == at(3'000));
  CHECK(canceled.job.expires_at == at(13'000));
  CHECK(store->lanes()[0].queued == 3);
  CHECK(store.find(ids[1], true).job.state == State::canceled);
  CHECK(store.find(ids[1], true).job.response.status == 0);
  CHECK(marks(store.apply(a_claim(lane, 2))) == Marks{1, 3});
  store.apply(a_cancel(ids[3]));
  const Claim none = store.apply(a_claim(lane, 1));
  CHECK(none.jobs.empty());
  CHECK(none.shares[0].queued == 0);
  CHECK(store.apply(an_insert(lane, 5, true)).outcome == Insert::Outcome::running);
}

BACKEND_TEST("a canceled attempt can end nothing, and a canceled retry never starts") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId running = store.apply(an_insert(lane, 1, true)).id;
  const Cancel canceled = store.apply(a_cancel(running));
  CHECK(canceled.was == State::running);
  CHECK(canceled.job.attempt == 1);
  CHECK_FALSE(store.apply(a_finish(a_fence(running, 1))).applied);
  CHECK(store.find(running).job.state == State::canceled);
  const JobId waiting = store.apply(an_insert(lane, 2, true)).id;
  store.apply(a_requeue(a_fence(waiting, 1), 5'000));
  CHECK(store.apply(a_cancel(waiting)).was == State::queued);
  const Claim claim = store.apply(a_claim(lane, 5, 9'000));
  CHECK(claim.jobs.empty());
  CHECK(claim.shares[0].due == WallTime());
  CHECK(store->orphans().empty());
}

BACKEND_TEST("a cancel that comes too late changes nothing and tells how the job ended") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  store.apply(a_finish(a_fence(id, 1), State::failed));
  const Cancel late = store.apply(a_cancel(id));
  CHECK(late.presence == Presence::present);
  CHECK(late.was == State::failed);
  CHECK(late.job.state == State::failed);
  CHECK(late.job.error == ErrorType::upstream_status);
  CHECK(store.find(id, true).job.response.body.bytes == "the answer");
}

BACKEND_TEST("an erased job is gone, and one that is pending is not erased") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  const Erase early = store.apply(an_erase(id));
  CHECK(early.presence == Presence::present);
  CHECK(early.was == State::running);
  CHECK(store.find(id).presence == Presence::present);
  store.apply(a_finish(a_fence(id, 1), State::failed));
  const Erase erased = store.apply(an_erase(id));
  CHECK(erased.presence == Presence::present);
  CHECK(erased.was == State::failed);
  CHECK(store.apply(an_erase(id)).presence == Presence::gone);
  CHECK(store.apply(a_cancel(id)).presence == Presence::gone);
  CHECK(store.find(id).presence == Presence::gone);
  store.crash();
  CHECK(store.find(id).presence == Presence::gone);
  CHECK(store.apply(a_prune(1'000'000)).count == 0);
}

BACKEND_TEST("a place that was never given out is unknown, and so is another random part") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1)).id;
  const auto check = [&](JobId other) {
    CHECK(store.find(other).presence == Presence::unknown);
    CHECK(store.apply(a_cancel(other)).presence == Presence::unknown);
    CHECK(store.apply(an_erase(other)).presence == Presence::unknown);
  };
  JobId other = id;
  other.random[14] ^= 1;
  check(other);
  other = id;
  other.place.sequence += 1;
  check(other);
  other = id;
  other.place.lane += 1;
  check(other);
  other = id;
  other.place.lane = 0;
  check(other);
  other = id;
  other.place.partition = 1;
  check(other);
  store.apply(a_claim(lane, 1));
  store.apply(a_finish(a_fence(id, 1)));
  other = id;
  other.random[0] ^= 1;
  check(other);
  CHECK(store.find(id).presence == Presence::present);
}

BACKEND_TEST("a place is never given out again, not after its job is erased or the process died") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId first = store.apply(an_insert(lane, 1, true)).id;
  store.apply(a_cancel(first));
  store.apply(an_erase(first));
  store.crash();
  const JobId second = store.apply(an_insert(lane, 2, true)).id;
  CHECK(second.place.sequence > first.place.sequence);
  CHECK(store.find(first).presence == Presence::gone);
}

BACKEND_TEST("the same key is the same job, whatever became of it, until it is erased") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(with_key(an_insert(lane, 1, true), 7, 1)).id;
  const auto repeat = [&](std::uint8_t fingerprint) {
    return store.apply(with_key(an_insert(lane, 9, true), 7, fingerprint));
  };
  CHECK(repeat(1).outcome == Insert::Outcome::existed);
  CHECK(repeat(1).id == id);
  CHECK(repeat(2).outcome == Insert::Outcome::key_reused);
  store.crash();
  CHECK(repeat(1).id == id);
  const std::uint64_t epoch = store->orphans()[0].epoch;
  store.apply(a_finish(a_fence(id, 1, epoch)));
  CHECK(repeat(1).outcome == Insert::Outcome::existed);
  CHECK(repeat(1).id == id);
  CHECK(store->lanes()[0].queued == 0);
  store.apply(an_erase(id));
  const Insert fresh = repeat(2);
  CHECK(fresh.outcome == Insert::Outcome::running);
  CHECK(fresh.id.random[0] == 9);
}

BACKEND_TEST("two submissions of one key in one batch are one job") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  Command first(with_key(an_insert(lane, 1), 7, 1));
  Command second(with_key(an_insert(lane, 2), 7, 1));
  Command* batch[] = {&first, &second};
  REQUIRE(store->apply(batch).has_value());
  CHECK(std::get<Insert>(first).outcome == Insert::Outcome::queued);
  CHECK(std::get<Insert>(second).outcome == Insert::Outcome::existed);
  CHECK(std::get<Insert>(second).id == std::get<Insert>(first).id);
}

BACKEND_TEST("jobs are pruned when their retention is over, oldest first and at most so many") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::vector<JobId> ids;
  for (std::uint8_t mark = 1; mark <= 3; ++mark) {
    const JobId id = store.apply(with_key(an_insert(lane, mark, true), mark, 1)).id;
    Finish finish = a_finish(a_fence(id, 1), mark == 2 ? State::failed : State::succeeded);
    finish.retention = jobs::milliseconds(1'000 * (4 - mark));
    store.apply(finish);
    ids.push_back(id);
  }
  CHECK(store.apply(a_prune(3'999)).count == 0);
  CHECK(store.apply(a_prune(4'000)).count == 1);
  CHECK(store.find(ids[2]).presence == Presence::gone);
  CHECK(store.apply(a_prune(100'000, 1)).count == 1);
  CHECK(store.find(ids[1]).presence == Presence::gone);
  CHECK(store.find(ids[0]).presence == Presence::present);
  CHECK(store.apply(a_prune(100'000, 10)).count == 1);
  CHECK(store.apply(a_prune(100'000, 10)).count == 0);
  CHECK(store.apply(with_key(an_insert(lane, 4), 1, 9)).outcome == Insert::Outcome::queued);
}

BACKEND_TEST("a queued job tells how many are before it") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::vector<JobId> ids;
  for (std::uint8_t mark = 1; mark <= 4; ++mark) {
    ids.push_back(store.apply(an_insert(lane, mark)).id);
  }
  CHECK(store.find(ids[0]).job.ahead == 0);
  CHECK(store.find(ids[3]).job.ahead == 3);
  store.apply(a_claim(lane, 2));
  CHECK(store.find(ids[3]).job.ahead == 1);
  CHECK(store.find(ids[0]).job.ahead == 0);
}

BACKEND_TEST("commands of one batch see each other, in order") {
  UnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id{jobs::Place{0, lane, 1}, an_insert(lane, 1).job.random};
  Command insert(an_insert(lane, 1));
  Command claim(a_claim(lane, 1));
  Command finish(a_finish(a_fence(id, 1)));
  Command cancel(a_cancel(id));
  Command erase(an_erase(id));
  Command* batch[] = {&insert, &claim, &finish, &cancel, &erase};
  REQUIRE(store->apply(batch).has_value());
  CHECK(std::get<Claim>(claim).jobs.size() == 1);
  CHECK(std::get<Finish>(finish).applied);
  CHECK(std::get<Cancel>(cancel).was == State::succeeded);
  CHECK(std::get<Erase>(erase).presence == Presence::present);
  CHECK(store.find(id).presence == Presence::gone);
}
