// Copies of a store: made while it is written, whole, and harmless when they are put back.
#include "store/backup.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
namespace jobs = raincheck::jobs;
namespace fs = std::filesystem;

namespace {

template <class F>
std::string error_of(F&& step) {
  try {
    step();
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void execute(const std::string& directory, const char* sql) {
  SqliteConnection connection(directory + "/raincheck.db", 256);
  connection.execute(sql);
}

// A store with a job in every state, and what is needed to ask for them.
struct Filled {
  Filled() {
    lane = open_lane(*store, "reports");
    succeeded = store.apply(an_insert(lane, 1, true)).id;
    result = spool(100'000);
    Finish finish = a_finish(a_fence(succeeded, 1));
    finish.response.body = result;
    store.apply(finish);
    Insert large = an_insert(lane, 2, true);
    large.job.body = request = spool(50'000);
    running = store.apply(large).id;
    followed = store.apply(an_insert(lane, 3, true)).id;
    store.apply(a_follow(a_fence(followed, 1), "10.0.0.1:80 /operations/7 "));
    later = store.apply(an_insert(lane, 4, true)).id;
    store.apply(a_requeue(a_fence(later, 1), 5'000));
    failed = store.apply(labeled(an_insert(lane, 5, true))).id;
    Finish failing = a_finish(a_fence(failed, 1), State::failed);
    failing.request_retention = jobs::milliseconds(5'000);
    store.apply(failing);
    queued = store.apply(labeled(with_key(an_insert(lane, 6), 1, 1))).id;
  }

  jobs::Body spool(std::size_t size) {
    auto writer = store.spool().create(SpoolUse::accepted);
    REQUIRE((*writer)->append(std::string(size, 'x')).has_value());
    (*writer)->release();
    jobs::Body body;
    body.spool = (*writer)->number();
    body.size = size;
    return body;
  }

  SqliteUnderTest store;
  std::uint32_t lane = 0;
  JobId succeeded, running, followed, later, failed, queued;
  jobs::Body result, request;
  TemporaryDirectory place;
  const std::string copy = place / "copy";
};

}  // namespace

TEST_CASE("a backup of a store that is served has what was committed, and its files") {
  Filled filled;
  const Findings made = back_up(filled.store.directory(), filled.copy);
  CHECK(made.wrong.empty());
  CHECK(made.files == 2);
  CHECK(made.bytes > 150'000);
  CHECK(verify(filled.copy).wrong.empty());
  CHECK(verify(filled.copy).files == 2);
  CHECK_FALSE(fs::exists(filled.copy + "/raincheck.db-wal"));
  // What is erased in the store stays in the copy.
  filled.store.apply(an_erase(filled.succeeded));
  filled.store->checkpoint();
  CHECK(verify(filled.copy).wrong.empty());
  CHECK(verify(filled.store.directory()).files == 1);
}

TEST_CASE("a backup of a store that was killed, or ended in order, is whole too") {
  Filled filled;
  const std::string directory = filled.store.directory();
  SUBCASE("killed") {
    fs::copy(directory, filled.place / "killed", fs::copy_options::recursive);
    fs::remove(filled.place / "killed/raincheck.db-shm");
    CHECK(back_up(filled.place / "killed", filled.copy).files == 2);
  }
  SUBCASE("ended") {
    filled.store.close();
    CHECK(back_up(directory, filled.copy).files == 2);
  }
  CHECK(verify(filled.copy).wrong.empty());
}

TEST_CASE("a backup is whole whatever is committed, erased and copied meanwhile") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  std::atomic<bool> over{false};
  std::thread upkeep([&] {
    while (!over) {
      if (store->checkpoint_due()) store->checkpoint();
    }
  });
  std::thread writer([&] {
    while (!over) {
      Insert insert = an_insert(lane, 1, true);
      auto file = store.spool().create(SpoolUse::accepted);
      CHECK((*file)->append(std::string(20'000, 'x')).has_value());
      insert.job.body.spool = (*file)->number();
      insert.job.body.size = 20'000;
      insert.job.head = std::string(5'000, 'h');
      const JobId id = store.apply(insert).id;
      (*file)->release();
      store.apply(a_finish(a_fence(id, 1)));
      store.apply(an_erase(id));
    }
  });
  TemporaryDirectory place;
  for (int round = 0; round < 20; ++round) {
    const std::string copy = place / std::to_string(round);
    CHECK(back_up(store.directory(), copy).wrong.empty());
    const Findings found = verify(copy);
    CHECK_MESSAGE(found.wrong.empty(), (found.wrong.empty() ? "" : found.wrong[0]));
  }
  over = true;
  upkeep.join();
  writer.join();
}

TEST_CASE("no file is removed while a backup is being made, and afterwards all are") {
  Filled filled;
  const std::string spool = filled.store.directory() + "/spool";
  const int locked = ::open(spool.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(::flock(locked, LOCK_SH) == 0);
  filled.store.apply(an_erase(filled.succeeded));
  filled.store->checkpoint();
  CHECK(filled.store->checkpoint_due());
  CHECK(filled.store.spool().open(filled.result.spool).has_value());
  SUBCASE("and the process goes on") {
    ::close(locked);
    filled.store->checkpoint();
  }
  SUBCASE("and the process is another by then") {
    filled.store.reopen();
    CHECK(filled.store.spool().open(filled.result.spool).has_value());
    ::close(locked);
    filled.store->checkpoint();
  }
  CHECK_FALSE(filled.store.spool().open(filled.result.spool).has_value());
  CHECK(filled.store.spool().open(filled.request.spool).has_value());
  CHECK(filled.store.spool().bytes() == 50'000);
}

TEST_CASE("a store that was put back takes all that waited for running, and what ended for ended") {
  Filled filled;
  back_up(filled.store.directory(), filled.copy);
  const std::string directory = filled.place / "restored";
  CHECK(restore(filled.copy, directory).wrong.empty());
  Spool spool(directory + "/spool");
  SqliteBackend store({directory, 0}, spool);
  CHECK(store.was_copied());
  CHECK(spool.bytes() == 150'000);
  CHECK(store.lanes()[0].queued == 0);
  CHECK(store.lanes()[0].next_due == jobs::WallTime());
  const auto orphans = store.orphans({});
  REQUIRE(orphans.size() == 4);
  CHECK(orphans[0].job.id == filled.running);
  CHECK(orphans[0].job.attempt == 1);
  CHECK(orphans[1].job.id == filled.followed);
  CHECK(orphans[1].job.monitor == "10.0.0.1:80 /operations/7 ");
  CHECK(orphans[2].job.id == filled.later);
  CHECK(orphans[2].job.attempt == 2);
  CHECK(orphans[3].job.id == filled.queued);
  CHECK(orphans[3].job.attempt == 1);
  for (const JobId& id : {filled.succeeded, filled.failed}) {
    Find find;
    find.id = id;
    Find* batch = &find;
    REQUIRE(store.find(std::span(&batch, 1)).has_value());
    CHECK(find.presence == Presence::present);
    CHECK(jobs::is_final(find.job.state));
  }
}

TEST_CASE("a store that was put back gives out no place again, and knows no job of another life") {
  Filled filled;
  back_up(filled.store.directory(), filled.copy);
  const JobId lost = filled.store.apply(an_insert(filled.lane, 7)).id;
  filled.store.close();
  const std::string directory = filled.place / "restored";
  restore(filled.copy, directory);
  Spool spool(directory + "/spool");
  auto backend = std::make_unique<SqliteBackend>(SqliteOptions{directory, 0}, spool);
  const auto apply = [&](auto command) {
    Command one(std::move(command));
    Command* batch = &one;
    REQUIRE(backend->apply(std::span(&batch, 1)).has_value());
    return std::get<decltype(command)>(one);
  };
  const auto presence = [&](const JobId& id) {
    Find find;
    find.id = id;
    Find* batch = &find;
    REQUIRE(backend->find(std::span(&batch, 1)).has_value());
    return find.presence;
  };
  CHECK(presence(lost) == Presence::gone);
  const JobId next = apply(an_insert(filled.lane, 8)).id;
  CHECK(next.place.sequence > lost.place.sequence + 1'000'000);
  CHECK(presence(next) == Presence::present);
  CHECK(marks(apply(a_claim(filled.lane, 10))) == std::vector<int>{8});
  // Only the first start is special.
  backend.reset();
  backend = std::make_unique<SqliteBackend>(SqliteOptions{directory, 0}, spool);
  CHECK_FALSE(backend->was_copied());
  CHECK(backend->orphans({}).size() == 5);
  CHECK(apply(an_insert(filled.lane, 9)).id.place.sequence == next.place.sequence + 1);
}

TEST_CASE("what is wrong with a backup is said in words, and it is not put back") {
  Filled filled;
  back_up(filled.store.directory(), filled.copy);
  const std::string file = filled.copy + "/spool/" + Spool::name_of(filled.result.spool);
  std::string words;
  SUBCASE("a file is missing") {
    fs::remove(file);
    words = "(100000 bytes): No such file";
  }
  SUBCASE("a file is too short") {
    fs::remove(file);
    std::ofstream(file) << "short";
    words = "has 5 bytes instead of 100000";
  }
  SUBCASE("something else has its name") {
    fs::remove(file);
    fs::create_directory(file);
    words = "is not a file";
  }
  SUBCASE("a row names a file that the store does not know") {
    execute(filled.copy, "DELETE FROM spool");
    words = "the store does not know it";
  }
  SUBCASE("the store names a file that no row does") {
    execute(filled.copy, "UPDATE resp SET spool = 0");
    words = "is named by no job";
  }
  SUBCASE("a job has a label that does not lead to it") {
    execute(filled.copy,
            "DELETE FROM label WHERE label = 'kind=a' AND key = (SELECT max(key) FROM label)");
    words = "a job has the label kind=a, and is not found by it";
  }
  SUBCASE("a label leads to a job that does not have it") {
    execute(filled.copy,
            "INSERT INTO label SELECT 'kind=b', key FROM label WHERE label = 'kind=a'");
    words = "2 labels are of no job";
  }
  SUBCASE("the database is damaged") {
    execute(filled.copy, "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema WHERE name = 'run'");
    words = "the database: ";
  }
  const Findings found = verify(filled.copy);
  REQUIRE_FALSE(found.wrong.empty());
  CHECK_MESSAGE(contains(found.wrong[0], words), found.wrong[0]);
  const std::string directory = filled.place / "restored";
  CHECK(restore(filled.copy, directory).wrong == found.wrong);
  CHECK_FALSE(fs::exists(directory));
}

TEST_CASE("what cannot be read, made or put back is refused in words") {
  Filled filled;
  const std::string directory = filled.store.directory();
  const std::string missing = filled.place / "missing";
  CHECK(contains(error_of([&] { back_up(missing, filled.copy); }), "cannot read " + missing));
  CHECK(contains(error_of([&] { verify(missing); }), "cannot read " + missing));
  CHECK(contains(error_of([&] { restore(missing, filled.copy); }), "cannot read " + missing));
  CHECK_FALSE(fs::exists(filled.copy));
  for (const std::string inside : {"", "/", "/copy", "/spool/../deep/copy"}) {
    const std::string to = directory + inside;
    CHECK(contains(error_of([&] { back_up(directory, to); }), "in the store's own directory"));
  }
  CHECK(contains(error_of([&] { restore(directory, filled.copy); }), "is not a backup"));
  back_up(directory, filled.copy);
  CHECK(contains(error_of([&] { back_up(directory, filled.copy); }), "is not empty"));
  CHECK(contains(error_of([&] { restore(filled.copy, directory); }), "is in use by another"));
  fs::rename(filled.copy + "/raincheck.db", filled.copy + "/raincheck.db.unfinished");
  CHECK(contains(error_of([&] { verify(filled.copy); }), "was not finished"));
  std::ofstream(filled.copy + "/raincheck.db") << std::string(10'000, 'x');
  CHECK(contains(error_of([&] { verify(filled.copy); }), "cannot be read"));
}

TEST_CASE("a file that the store has lost is told, and the rest is copied") {
  Filled filled;
  fs::remove(filled.store.directory() + "/spool/" + Spool::name_of(filled.result.spool));
  const Findings made = back_up(filled.store.directory(), filled.copy);
  CHECK(made.wrong.size() == 1);
  CHECK(made.files == 1);
  CHECK(verify(filled.copy).wrong.size() == 1);
}
