// What is SQLite's alone: files, locks, damage, full and broken disks, the log.
#include "store/sqlite_backend.hpp"

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "store/sqlite_schema.hpp"
#include "tests/store/backend_under_test.hpp"
#include "tests/store/faulty_vfs.hpp"

using namespace raincheck::store;
using raincheck::jobs::Fault;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
namespace jobs = raincheck::jobs;

namespace {

// What opening the store in the directory says, empty when it opens.
std::string open_error(const std::string& directory) {
  try {
    Spool spool(directory + "/spool");
    SqliteBackend backend({directory, 0}, spool);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

void execute(const std::string& database, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(database.c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

void overwrite(const std::string& path, std::streamoff offset, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  REQUIRE(file);
  file.seekp(offset);
  file << bytes;
}

jobs::Result<void> apply(SqliteUnderTest& store, std::vector<Command>& commands) {
  std::vector<Command*> batch;
  for (Command& each : commands) batch.push_back(&each);
  return store->apply(batch);
}

std::vector<Command> many_inserts(std::uint32_t lane, int count, std::size_t size) {
  std::vector<Command> commands;
  for (int i = 0; i < count; ++i) {
    Insert insert = an_insert(lane, static_cast<std::uint8_t>(i + 100));
    insert.job.body = jobs::Body::inline_bytes(std::string(size, 'x'));
    commands.emplace_back(std::move(insert));
  }
  return commands;
}

}  // namespace

TEST_CASE("the store's directory is 0700 and its files are 0600") {
  SqliteUnderTest store;
  store.apply(an_insert(open_lane(*store, "reports"), 1));
  struct stat status {};
  REQUIRE(::stat(store.directory().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(store.directory())) {
    if (!entry.is_regular_file()) continue;
    REQUIRE(::stat(entry.path().c_str(), &status) == 0);
    CHECK_MESSAGE((status.st_mode & 0777) == 0600, entry.path().string());
    ++files;
  }
  CHECK(files == 3);  // database, log, its index
}

TEST_CASE("a second process is refused in words") {
  SqliteUnderTest store;
  CHECK(contains(open_error(store.directory()), "is in use by another raincheck process"));
}

TEST_CASE("a damaged, a foreign and a newer database are refused in words and left as they are") {
  SqliteUnderTest store;
  store.apply(an_insert(open_lane(*store, "reports"), 1));
  const std::string directory = store.directory();
  const std::string database = directory + "/raincheck.db";
  store.close();
  SUBCASE("not a database") {
    overwrite(database, 0, std::string(100, 'x'));
    CHECK(contains(open_error(directory), "damaged or not a store"));
  }
  SUBCASE("damaged inside") {
    overwrite(database, 100, std::string(8'000, '\x55'));
    CHECK(contains(open_error(directory), "damaged or not a store"));
  }
  SUBCASE("another program's") {
    execute(database, "PRAGMA application_id=1");
    CHECK(contains(open_error(directory), "is not a store of raincheck"));
  }
  SUBCASE("newer") {
    execute(database, "UPDATE meta SET value = 1000 WHERE name = 'schema'");
    CHECK(contains(open_error(directory), "has format 1000"));
  }
  CHECK(std::filesystem::file_size(database) > 8'192);
}

TEST_CASE("no new database is made where an old one was") {
  SqliteUnderTest store;
  auto writer = store.spool().create(SpoolUse::accepted);
  REQUIRE(writer.has_value());
  (*writer)->release();
  writer->reset();
  const std::string directory = store.directory();
  store.close();
  SUBCASE("missing") {
    std::filesystem::remove(directory + "/raincheck.db");
    CHECK(contains(open_error(directory), "is missing or empty"));
    CHECK_FALSE(std::filesystem::exists(directory + "/raincheck.db"));
  }
  SUBCASE("emptied") {
    std::filesystem::resize_file(directory + "/raincheck.db", 0);
    CHECK(contains(open_error(directory), "is missing or empty"));
  }
}

TEST_CASE("a store whose making was cut short is made again") {
  TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "store");
  SUBCASE("nothing written") {
    std::ofstream(directory / "store/raincheck.db");
  }
  SUBCASE("no tables") {
    execute(directory / "store/raincheck.db", "PRAGMA page_size=8192; PRAGMA journal_mode=WAL");
  }
  CHECK(open_error(directory / "store") == "");
}

TEST_CASE("a full disk refuses the batch whole, and the next one works when space is back") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId kept = store.apply(an_insert(lane, 1, true)).id;
  for (int after = 0;; ++after) {
    disk.fail_writes(after, SQLITE_FULL);
    std::vector<Command> batch = many_inserts(lane, 3, 10'000);
    batch.emplace_back(a_finish(a_fence(kept, 1)));
    const jobs::Result<void> applied = apply(store, batch);
    if (!disk.has_failed()) {
      CHECK(applied.has_value());
      break;
    }
    REQUIRE_FALSE(applied.has_value());
    CHECK(applied.error().fault == Fault::store_full);
    disk.heal();
    CHECK(store.find(kept).job.state == State::running);
    CHECK(store->lanes()[0].queued == static_cast<std::uint64_t>(after));
    const Insert next = store.apply(an_insert(lane, 2));
    CHECK(next.outcome == Insert::Outcome::queued);
    CHECK(next.id.place.sequence == static_cast<std::uint64_t>(after) + 2);
  }
  disk.heal();
  store.crash();
  CHECK(store.find(kept).job.state == State::succeeded);
}

TEST_CASE("after a failed sync nothing is applied any more, and a new process reads the truth") {
  for (int after = 0; after < 2; ++after) {
    FaultyVfs disk;
    SqliteUnderTest store;
    const auto lane = open_lane(*store, "reports");
    const JobId kept = store.apply(an_insert(lane, 1)).id;
    disk.fail_syncs(after, SQLITE_IOERR_FSYNC);
    jobs::Result<void> applied;
    for (int i = 0; i <= after && applied; ++i) {
      std::vector<Command> batch = many_inserts(lane, 1, 100);
      applied = apply(store, batch);
    }
    REQUIRE_FALSE(applied.has_value());
    CHECK(applied.error().fault == Fault::store_failed);
    disk.heal();
    std::vector<Command> batch = many_inserts(lane, 1, 100);
    CHECK(apply(store, batch).error().fault == Fault::store_failed);
    CHECK(store.find(kept).presence == Presence::present);
    CHECK_FALSE(store->checkpoint_due());
    store->checkpoint();
    store.crash();
    CHECK(store.find(kept).presence == Presence::present);
    CHECK(store.apply(an_insert(lane, 2)).outcome == Insert::Outcome::queued);
  }
}

TEST_CASE("another failure of a write is final too") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  disk.fail_writes(0, SQLITE_IOERR_WRITE);
  std::vector<Command> batch = many_inserts(lane, 1, 100);
  CHECK(apply(store, batch).error().fault == Fault::store_failed);
  disk.heal();
  CHECK(apply(store, batch).error().fault == Fault::store_failed);
}

TEST_CASE("a lane or a pause that cannot be recorded on a full disk can be when space is back") {
  FaultyVfs disk;
  SqliteUnderTest store;
  disk.fail_writes(0, SQLITE_FULL);
  CHECK_THROWS_AS(open_lane(*store, "reports"), std::runtime_error);
  CHECK_THROWS_AS(store->set_paused("route a", true), std::runtime_error);
  disk.heal();
  CHECK(store->lanes().empty());
  CHECK(store->paused().empty());
  store->set_paused("route a", true);
  const auto lane = open_lane(*store, "reports");
  store.crash();
  CHECK(store->paused() == std::vector<std::string>{"route a"});
  CHECK(store.apply(an_insert(lane, 1)).outcome == Insert::Outcome::queued);
}

TEST_CASE("after a failed sync of a lane or a pause nothing is applied any more") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  disk.fail_syncs(0, SQLITE_IOERR_FSYNC);
  SUBCASE("lane") {
    CHECK_THROWS_AS(open_lane(*store, "other"), std::runtime_error);
  }
  SUBCASE("pause") {
    CHECK_THROWS_AS(store->set_paused("route a", true), std::runtime_error);
  }
  disk.heal();
  std::vector<Command> batch = many_inserts(lane, 1, 100);
  CHECK(apply(store, batch).error().fault == Fault::store_failed);
  CHECK_THROWS_AS(store->set_paused("route b", true), std::runtime_error);
}

TEST_CASE("a file named by a batch stays when nobody knows whether the batch is durable") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  auto created = store.spool().create(SpoolUse::accepted);
  REQUIRE(created.has_value());
  const std::uint64_t number = (*created)->number();
  std::vector<Command> batch;
  Insert insert = an_insert(lane, 1);
  insert.job.body.spool = number;
  batch.emplace_back(insert);
  SUBCASE("failed") {
    disk.fail_syncs(0, SQLITE_IOERR_FSYNC);
    CHECK(apply(store, batch).error().fault == Fault::store_failed);
    created->reset();
    CHECK(store.spool().open(number).has_value());
  }
  SUBCASE("full") {
    disk.fail_writes(0, SQLITE_FULL);
    CHECK(apply(store, batch).error().fault == Fault::store_full);
    created->reset();
    CHECK_FALSE(store.spool().open(number).has_value());
  }
}

TEST_CASE("the log starts over under constant load, also while jobs are read") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1)).id;
  std::uintmax_t largest = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 7'000);
    REQUIRE(apply(store, batch).has_value());
    CHECK(store.find(id).presence == Presence::present);
    if (store->checkpoint_due()) store->checkpoint();
    largest =
        std::max(largest, std::filesystem::file_size(store.directory() + "/raincheck.db-wal"));
  }
  // 32,000 rows of 7 kB are 260 MB of log, were it never to start over.
  CHECK(largest < 40'000'000);
  store.crash();
  CHECK(store->lanes()[0].queued == 32'001);
}

TEST_CASE("the log starts over although a commit comes into every copying of it") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (int round = 0; round < 200; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 7'000);
    REQUIRE(apply(store, batch).has_value());
    if (!store->checkpoint_due()) continue;
    disk.on_sync([&] { store.apply(an_insert(lane, 1)); });
    store->checkpoint();
    disk.heal();
  }
  // Of 90 MB. Without its restarts the log would hold all of them.
  CHECK(std::filesystem::file_size(store.directory() + "/raincheck.db-wal") < 45'000'000);
}

TEST_CASE("a log may be copied on one thread while another commits and a third reads") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1)).id;
  std::atomic<bool> over{false};
  std::thread upkeep([&] {
    while (!over) {
      if (store->checkpoint_due()) store->checkpoint();
    }
  });
  std::thread reader([&] {
    while (!over) CHECK(store.find(id).presence == Presence::present);
  });
  for (int round = 0; round < 150; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 7'000);
    CHECK(apply(store, batch).has_value());
  }
  over = true;
  upkeep.join();
  reader.join();
}

TEST_CASE("a batch that changes nothing writes nothing") {
  FaultyVfs disk;
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  disk.fail_writes(0, SQLITE_IOERR_WRITE);
  disk.fail_syncs(0, SQLITE_IOERR_FSYNC);
  store.apply(a_claim(lane, 10));
  store.apply(a_prune(0));
  CHECK_FALSE(store.apply(a_finish(a_fence(id, 7))).applied);
  CHECK_FALSE(disk.has_failed());
}

TEST_CASE("a log that nobody checkpoints is bounded all the same") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  for (int round = 0; round < 700; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 7'000);
    REQUIRE(apply(store, batch).has_value());
  }
  CHECK(std::filesystem::file_size(store.directory() + "/raincheck.db-wal") < 280'000'000);
}

TEST_CASE("a database that was large shrinks again, a little at each pruning, and loses nothing") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const JobId kept = store.apply(an_insert(lane, 1, true)).id;
  Finish finish = a_finish(a_fence(kept, 1));
  finish.retention = jobs::milliseconds(100'000);
  REQUIRE(store.apply(finish).applied);
  for (int round = 0; round < 40; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 16'000);
    REQUIRE(apply(store, batch).has_value());
    for (const jobs::Job& job : store.apply(a_claim(lane, 64)).jobs) {
      Finish large = a_finish(a_fence(job.id, 1));
      large.response.body = jobs::Body::inline_bytes(std::string(16'000, 'y'));
      REQUIRE(store.apply(large).applied);
    }
    store->checkpoint();
  }
  const JobId last = store.apply(an_insert(lane, 2)).id;
  const auto size = [&] { return std::filesystem::file_size(store.directory() + "/raincheck.db"); };
  REQUIRE(size() > 40'000'000);
  int steps = 0;
  Prune pruned;
  do {
    const std::uint64_t before = store->bytes();
    pruned = store.apply(a_prune(20'000, 256));
    CHECK(store->bytes() <= before + 2'000'000);
    store->checkpoint();
    ++steps;
  } while (pruned.more || pruned.count == 256);
  CHECK(steps > 10);
  CHECK(size() < 12'000'000);
  CHECK(store.find(kept, true).job.response.body.bytes == "the answer");
  CHECK(store.find(last).job.state == State::queued);
  store.crash();
  CHECK(store.find(kept).job.state == State::succeeded);
}

TEST_CASE("what has to be recorded on a full disk is taken from the reserve") {
  FaultyVfs disk;
  SqliteUnderTest store;
  store.close();
  store.set_limits({0, 0, 64 * 1024});
  store.open();
  const auto lane = open_lane(*store, "reports");
  const JobId id = store.apply(an_insert(lane, 1, true)).id;
  Space& space = store.spool().space();
  CHECK(space.is_whole());
  disk.fail_writes(0, SQLITE_FULL);
  std::vector<Command> batch;
  batch.emplace_back(a_finish(a_fence(id, 1)));
  CHECK(apply(store, batch).error().fault == Fault::store_full);
  CHECK_FALSE(space.is_whole());
  CHECK(std::filesystem::file_size(store.directory() + "/reserve") == 48 * 1024);
  disk.heal();
  // No new job may use what was given up.
  CHECK(store.apply(an_insert(lane, 2)).refused);
  CHECK(store.apply(a_finish(a_fence(id, 1))).applied);
  CHECK(store->checkpoint_due());
  store->checkpoint();
  CHECK(space.is_whole());
  CHECK_FALSE(store.apply(an_insert(lane, 2)).refused);
}

TEST_CASE("a log that a backup held back goes on from its start, and is cut to its size") {
  SqliteUnderTest store;
  const auto lane = open_lane(*store, "reports");
  const auto log_bytes = [&] {
    return std::filesystem::file_size(store.directory() + "/raincheck.db-wal");
  };
  const auto write = [&](std::uintmax_t bytes) {
    const std::uintmax_t until = log_bytes() + bytes;
    while (log_bytes() < until) {
      std::vector<Command> batch = many_inserts(lane, 64, 7'000);
      REQUIRE(apply(store, batch).has_value());
      if (store->checkpoint_due()) store->checkpoint();
    }
  };
  store.apply(an_insert(lane, 1));
  {
    SqliteConnection backup(store.directory() + "/raincheck.db", 256,
                            SqliteConnection::Access::read);
    backup.execute("BEGIN; SELECT count(*) FROM req");
    write(300'000'000);
    backup.execute("COMMIT");
  }
  for (int round = 0; round < 20; ++round) {
    std::vector<Command> batch = many_inserts(lane, 64, 7'000);
    REQUIRE(apply(store, batch).has_value());
    if (store->checkpoint_due()) store->checkpoint();
  }
  CHECK(log_bytes() <= static_cast<std::uintmax_t>(SqliteLog::bytes_max));
}
