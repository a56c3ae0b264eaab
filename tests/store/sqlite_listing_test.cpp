#include "store/sqlite_listing.hpp"

#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::State;
namespace jobs = raincheck::jobs;

namespace {

using Marks = std::vector<int>;

Insert submitted(std::uint32_t lane, std::uint8_t mark, std::int64_t when, bool start = false) {
  Insert insert = an_insert(lane, mark, start);
  insert.job.created_at = at(when);
  return insert;
}

Marks marks_of(const List& list) {
  Marks marks;
  for (const jobs::Job& job : list.jobs) marks.push_back(job.id.random[0]);
  return marks;
}

// Three lanes, jobs 1 to 6, of every state but canceled.
struct Listed {
  Listed() {
    const auto one = open_lane(*store, "reports");
    const auto two = open_lane(*store, "letters");
    const auto first = store.apply(submitted(one, 1, 1'000, true)).id;
    store.apply(labeled(submitted(two, 2, 2'000, true)));
    const auto third = store.apply(labeled(submitted(one, 3, 3'000, true))).id;
    Insert other = submitted(open_lane(*store, "letters", "letters"), 4, 4'000);
    other.job.route = "letters";
    store.apply(other);
    const auto fifth = store.apply(labeled(submitted(one, 5, 5'000, true), "kind=a\n")).id;
    store.apply(labeled(submitted(two, 6, 6'000), "customer=1\nkind=a\n"));
    store.apply(a_finish(a_fence(first, 1)));
    store.apply(a_finish(a_fence(third, 1), State::failed));  // its request is kept
    store.apply(a_requeue(a_fence(fifth, 1), 9'000));
    listing.emplace(store.directory() + "/raincheck.db", 0);
  }

  List list(List command = {}) {
    listing->list(command);
    return command;
  }

  SqliteUnderTest store;
  std::optional<SqliteListing> listing;
};

}  // namespace

TEST_CASE("jobs are listed over all lanes, newest or oldest first, each once") {
  Listed listed;
  CHECK(marks_of(listed.list()) == Marks{6, 5, 4, 3, 2, 1});
  List oldest;
  oldest.newest_first = false;
  const List all = listed.list(oldest);
  CHECK(marks_of(all) == Marks{1, 2, 3, 4, 5, 6});
  CHECK_FALSE(all.more);
  const std::vector<State> states = {State::succeeded, State::running, State::failed,
                                     State::queued,    State::queued,  State::queued};
  for (std::size_t i = 0; i < states.size(); ++i) CHECK(all.jobs[i].state == states[i]);
  CHECK(all.jobs[0].response.status == 200);
  CHECK(all.jobs[0].response.head.empty());
  CHECK(all.jobs[4].due_at == at(9'000));
}

TEST_CASE("jobs are listed by state, route, age, request id and label") {
  Listed listed;
  List command;
  SUBCASE("state") {
    command.state = State::queued;
    CHECK(marks_of(listed.list(command)) == Marks{6, 5, 4});
  }
  SUBCASE("route") {
    command.route = "letters";
    CHECK(marks_of(listed.list(command)) == Marks{4});
  }
  SUBCASE("request id") {
    command.request_id = "request-3";
    CHECK(marks_of(listed.list(command)) == Marks{3});
  }
  SUBCASE("age") {
    command.created_from = at(2'000);
    command.created_before = at(5'000);
    CHECK(marks_of(listed.list(command)) == Marks{4, 3, 2});
  }
  SUBCASE("label") {
    command.label = "customer=17";
    CHECK(marks_of(listed.list(command)) == Marks{3, 2});
    command.label = "kind=a";
    CHECK(marks_of(listed.list(command)) == Marks{6, 5, 3, 2});
    command.state = State::queued;
    CHECK(marks_of(listed.list(command)) == Marks{6, 5});
    command.label = "customer=1";
    command.newest_first = false;
    CHECK(marks_of(listed.list(command)) == Marks{6});
    command.label = "customer=";
    CHECK(listed.list(command).jobs.empty());
  }
  SUBCASE("nothing is like that") {
    command.state = State::canceled;
    const List none = listed.list(command);
    CHECK(none.jobs.empty());
    CHECK_FALSE(none.more);
  }
}

TEST_CASE("a list is read page by page, and each call looks at a bounded number of rows") {
  List by_jobs;
  by_jobs.count_max = 2;
  List by_rows;
  by_rows.look_max = 1;
  List filtered = by_rows;
  filtered.state = State::failed;
  List by_label;
  by_label.count_max = 1;
  by_label.label = "kind=a";
  for (List command : {by_jobs, by_rows, filtered, by_label}) {
    for (const bool newest_first : {true, false}) {
      Listed listed;
      List page = command;
      page.newest_first = newest_first;
      Marks seen;
      int pages = 0;
      do {
        page = listed.list(page);
        CHECK(page.jobs.size() <= std::min(page.count_max, page.look_max));
        for (const int mark : marks_of(page)) seen.push_back(mark);
        // What comes meanwhile makes no other job appear twice or be left out.
        if (++pages == 1 && newest_first) listed.store.apply(labeled(submitted(1, 7, 7'000)));
      } while (page.more);
      CHECK(pages > 2);
      Marks all = command.state ? Marks{3} : Marks{1, 2, 3, 4, 5, 6};
      if (!command.label.empty()) all = {2, 3, 5, 6};
      CHECK(seen == (newest_first ? Marks(all.rbegin(), all.rend()) : all));
    }
  }
}
