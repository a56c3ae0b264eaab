#include "store/store.hpp"

#include <doctest/doctest.h>

#include <map>
#include <thread>

#include "tests/store/backend_under_test.hpp"
#include "tests/store/scripted_backend.hpp"

using namespace raincheck::store;
using raincheck::jobs::Fault;
using raincheck::jobs::JobId;
using raincheck::jobs::Result;
namespace asio = boost::asio;
namespace jobs = raincheck::jobs;

namespace {

void rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

// What an asker heard: nothing yet, an answer, or a fault.
struct Heard {
  int answers = 0;
  std::map<Fault, int> faults;

  template <class T>
  void add(const Result<T>& result) {
    result ? ++answers : ++faults[result.error().fault];
  }
};

awaitable<void> insert(Client& client, Insert with, Heard& heard) {
  const Result<Insert> inserted = co_await client.apply(std::move(with));
  heard.add(inserted);
}

awaitable<void> find(Client& client, Find with, Heard& heard) {
  const Result<Find> found = co_await client.find(std::move(with));
  heard.add(found);
}

// A store without threads over a scripted backend, and one shard.
class Fixture {
 public:
  explicit Fixture(StoreOptions options = StoreOptions()) {
    options.threads = false;
    auto scripted = std::make_unique<ScriptedBackend>();
    backend_ = scripted.get();
    store_ = std::make_unique<Store>(std::move(scripted),
                                     std::make_unique<Spool>(directory_ / "spool"), options);
    io_ = std::make_unique<asio::io_context>(1);
    client_ = std::make_unique<Client>(*store_, *io_);
  }

  ScriptedBackend& backend() { return *backend_; }
  Store& store() { return *store_; }
  Client& client() { return *client_; }
  asio::io_context& io() { return *io_; }
  Heard& heard() { return heard_; }
  void drop_client() { client_.reset(); }
  void drop_shard() { io_.reset(); }

  void ask_insert(int mark, std::size_t bytes = 0) {
    Insert with = an_insert(1, static_cast<std::uint8_t>(mark));
    with.job.head.clear();
    with.job.body = jobs::Body::inline_bytes(std::string(bytes, 'x'));
    spawn(*io_, insert(*client_, std::move(with), heard_), rethrow);
  }
  void ask_find(int mark) {
    Find with;
    with.id.random.fill(static_cast<std::uint8_t>(mark));
    spawn(*io_, find(*client_, std::move(with), heard_), rethrow);
  }
  void turn() {
    io_->restart();
    io_->poll();
  }

 private:
  TemporaryDirectory directory_;
  Heard heard_;
  ScriptedBackend* backend_ = nullptr;
  std::unique_ptr<Store> store_;
  std::unique_ptr<asio::io_context> io_;
  std::unique_ptr<Client> client_;
};

using Batches = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("what one turn of the loop asks for is one commit, in order") {
  Fixture test;
  for (int mark = 1; mark <= 3; ++mark) test.ask_insert(mark);
  CHECK_FALSE(test.store().commit_group());
  test.turn();
  CHECK(test.heard().answers == 0);
  CHECK(test.store().commit_group());
  CHECK(test.backend().batches == Batches{{1, 2, 3}});
  CHECK(test.heard().answers == 0);
  test.turn();
  CHECK(test.heard().answers == 3);
  CHECK(test.store().counts().commits == 1);
  CHECK(test.store().counts().commands == 3);
  CHECK_FALSE(test.store().commit_group());
}

TEST_CASE("a commit takes as many commands as its limit and leaves the next for another") {
  StoreOptions options;
  options.group_commands_max = 3;
  Fixture test(options);
  for (int mark = 1; mark <= 4; ++mark) test.ask_insert(mark);
  test.turn();
  while (test.store().commit_group()) {
  }
  CHECK(test.backend().batches == Batches{{1, 2, 3}, {4}});
  test.turn();
  CHECK(test.heard().answers == 4);
}

TEST_CASE("a commit takes bytes up to its limit, and one command always") {
  StoreOptions options;
  options.group_bytes_max = 100;
  Fixture test(options);
  test.ask_insert(1, 60);
  test.ask_insert(2, 40);
  test.ask_insert(3, 60);
  test.ask_insert(4, 41);
  test.ask_insert(5, 101);
  test.ask_insert(6, 1);
  test.turn();
  while (test.store().commit_group()) {
  }
  CHECK(test.backend().batches == Batches{{1, 2}, {3}, {4}, {5}, {6}});
  test.turn();
  CHECK(test.heard().answers == 6);
}

TEST_CASE("what comes while a group is left over fills up the next group") {
  StoreOptions options;
  options.group_commands_max = 3;
  Fixture test(options);
  for (int mark = 1; mark <= 4; ++mark) test.ask_insert(mark);
  test.turn();
  test.store().commit_group();
  for (int mark = 5; mark <= 6; ++mark) test.ask_insert(mark);
  test.turn();
  test.store().commit_group();
  CHECK(test.backend().batches == Batches{{1, 2, 3}, {4, 5, 6}});
  test.turn();
}

TEST_CASE("a full queue is an answer, and has room again after a commit") {
  StoreOptions options;
  options.queue_max = 2;
  Fixture test(options);
  for (int mark = 1; mark <= 3; ++mark) test.ask_insert(mark);
  test.turn();
  CHECK(test.heard().answers == 0);
  CHECK(test.heard().faults[Fault::overloaded] == 1);
  test.store().commit_group();
  test.ask_insert(4);
  test.ask_insert(5);
  test.turn();
  CHECK(test.heard().answers == 2);
  CHECK(test.heard().faults[Fault::overloaded] == 1);
  test.store().commit_group();
  test.turn();
  CHECK(test.backend().batches == Batches{{1, 2}, {4, 5}});
  CHECK(test.heard().answers == 4);
}

TEST_CASE("a commit that fails for lack of space answers every waiter, and the next works") {
  Fixture test;
  test.backend().fault = Fault::store_full;
  test.ask_insert(1);
  test.ask_insert(2);
  test.turn();
  test.store().commit_group();
  test.ask_insert(3);
  test.turn();
  CHECK(test.heard().faults[Fault::store_full] == 2);
  CHECK_FALSE(test.store().failed());
  test.store().commit_group();
  test.turn();
  CHECK(test.heard().answers == 1);
  CHECK(test.store().counts().commits == 1);
}

TEST_CASE("after a failed sync every command fails, and the backend is not asked again") {
  Fixture test;
  test.backend().fault = Fault::store_failed;
  test.ask_insert(1);
  test.ask_insert(2);
  test.turn();
  test.store().commit_group();
  test.turn();
  CHECK(test.heard().faults[Fault::store_failed] == 2);
  CHECK(test.store().failed());
  test.ask_insert(3);
  test.turn();
  test.store().commit_group();
  test.turn();
  CHECK(test.heard().faults[Fault::store_failed] == 3);
  CHECK(test.backend().batches.size() == 1);
  test.ask_find(4);
  test.turn();
  test.store().read_group();
  test.turn();
  CHECK(test.heard().answers == 1);
}

TEST_CASE("a job that the store's limit refuses is answered store_full, and the others are not") {
  Fixture test;
  test.backend().refused = {2};
  for (int mark = 1; mark <= 3; ++mark) test.ask_insert(mark);
  test.turn();
  test.store().commit_group();
  test.turn();
  CHECK(test.heard().answers == 2);
  CHECK(test.heard().faults[Fault::store_full] == 1);
}

TEST_CASE("reads are batched, and a damaged job spoils only its own") {
  Fixture test;
  test.backend().damaged = {2};
  for (int mark = 1; mark <= 3; ++mark) test.ask_find(mark);
  test.turn();
  CHECK(test.store().read_group());
  CHECK_FALSE(test.store().read_group());
  test.turn();
  CHECK(test.heard().answers == 2);
  CHECK(test.heard().faults[Fault::internal] == 1);
  CHECK(test.backend().find_batches == std::vector<std::size_t>{3, 1, 1, 1});
}

TEST_CASE("a client that ends has its commands committed first") {
  Fixture test;
  test.ask_insert(1);
  test.turn();
  test.ask_insert(2);
  // The second has not even begun: its coroutine never ran.
  test.drop_client();
  CHECK(test.backend().batches == Batches{{1}});
  // The answer finds nobody; the waiting coroutine goes with the loop.
  test.drop_shard();
  CHECK(test.heard().answers == 0);
}

TEST_CASE("several shards of one store hear their own answers") {
  Fixture test;
  asio::io_context other_io(1);
  Heard other_heard;
  {
    Client other(test.store(), other_io);
    test.ask_insert(1);
    spawn(other_io, insert(other, an_insert(1, 2), other_heard), rethrow);
    test.turn();
    other_io.poll();
    test.store().commit_group();
    CHECK(test.backend().batches == Batches{{1, 2}});
    test.turn();
    CHECK(test.heard().answers == 1);
    CHECK(other_heard.answers == 0);
    other_io.restart();
    other_io.poll();
    CHECK(other_heard.answers == 1);
  }
}

namespace {

// Through the store to the disk and back.
awaitable<void> copy_body(Client& client, std::string& copy, bool& done) {
  auto writer = co_await client.create(SpoolUse::accepted);
  REQUIRE(writer.has_value());
  for (const char* piece : {"one ", "two ", "three"}) {
    const Result<void> appended = co_await client.append(**writer, piece);
    REQUIRE(appended.has_value());
  }
  const Result<void> synced = co_await client.sync(**writer);
  REQUIRE(synced.has_value());
  auto reader = co_await client.open((*writer)->number());
  REQUIRE(reader.has_value());
  copy.resize((*writer)->size());
  const Result<void> read = co_await client.read(**reader, 0, copy);
  REQUIRE(read.has_value());
  std::string part(copy.size(), ' ');
  const Result<void> beyond = co_await client.read(**reader, 1, part);
  CHECK(beyond.error().fault == Fault::internal);
  auto missing = co_await client.open(12'345);
  CHECK_FALSE(missing.has_value());
  done = true;
}

}  // namespace

TEST_CASE("spool files are written and read on the file threads") {
  Fixture test;
  std::string copy;
  bool done = false;
  spawn(test.io(), copy_body(test.client(), copy, done), rethrow);
  test.turn();
  while (test.store().file_work()) test.turn();
  CHECK(done);
  CHECK(copy == "one two three");
}

namespace {

// A whole job, and reads of it, as fast as the store answers.
awaitable<void> live(Client& client, std::uint32_t lane, int rounds, int& ended) {
  for (int i = 0; i < rounds; ++i) {
    Insert with = an_insert(lane, static_cast<std::uint8_t>(i), true);
    const Result<Insert> inserted = co_await client.apply(std::move(with));
    REQUIRE(inserted.has_value());
    Find ask;
    ask.id = inserted->id;
    ask.with_response = true;
    const Result<Find> pending = co_await client.find(ask);
    REQUIRE(pending.has_value());
    CHECK(pending->presence == Presence::present);
    Finish finish = a_finish(a_fence(inserted->id, 1));
    const Result<Finish> finished = co_await client.apply(std::move(finish));
    REQUIRE(finished.has_value());
    CHECK(finished->applied);
    const Result<Find> found = co_await client.find(ask);
    REQUIRE(found.has_value());
    CHECK(found->job.response.body.bytes == "the answer");
    Erase erase = an_erase(inserted->id);
    const Result<Erase> erased = co_await client.apply(std::move(erase));
    REQUIRE(erased.has_value());
    CHECK(erased->presence == Presence::present);
    ++ended;
  }
}

}  // namespace

TEST_CASE("shards on threads of their own share one store") {
  constexpr int shards = 3;
  constexpr int clients = 20;
  constexpr int rounds = 10;
  TemporaryDirectory directory;
  auto spool = std::make_unique<Spool>(directory / "store/spool");
  auto backend = std::make_unique<SqliteBackend>(SqliteOptions{directory / "store", 0}, *spool);
  const auto lane = open_lane(*backend, "reports");
  Store store(std::move(backend), std::move(spool), StoreOptions());
  std::array<int, shards> ended{};
  std::vector<std::thread> threads;
  for (int shard = 0; shard < shards; ++shard) {
    threads.emplace_back([&, shard] {
      asio::io_context io(1);
      Client client(store, io);
      for (int i = 0; i < clients; ++i) {
        spawn(io, live(client, lane, rounds, ended[static_cast<std::size_t>(shard)]), rethrow);
      }
      io.run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : ended) CHECK(count == clients * rounds);
  const Store::Counts counts = store.counts();
  CHECK(counts.commands == 3 * shards * clients * rounds);
  CHECK(counts.commits < counts.commands);
}

TEST_CASE("a checkpoint is made when the backend wants one") {
  TemporaryDirectory directory;
  auto scripted = std::make_unique<ScriptedBackend>();
  ScriptedBackend& backend = *scripted;
  backend.due = true;
  Store store(std::move(scripted), std::make_unique<Spool>(directory / "spool"), StoreOptions());
  asio::io_context io(1);
  Client client(store, io);
  Heard heard;
  spawn(io, insert(client, an_insert(1, 1), heard), rethrow);
  io.run();
  backend.checkpoints.wait(0);
  CHECK(backend.checkpoints == 1);
}

TEST_CASE("a store that stops with commands in its queue commits them") {
  TemporaryDirectory directory;
  Heard heard;
  std::uint64_t queued = 0;
  {
    auto spool = std::make_unique<Spool>(directory / "store/spool");
    auto backend = std::make_unique<SqliteBackend>(SqliteOptions{directory / "store", 0}, *spool);
    const auto lane = open_lane(*backend, "reports");
    Store store(std::move(backend), std::move(spool), StoreOptions());
    asio::io_context io(1);
    Client client(store, io);
    for (std::uint8_t mark = 0; mark < 50; ++mark) {
      spawn(io, insert(client, an_insert(lane, mark), heard), rethrow);
    }
    io.poll();
  }
  Spool spool(directory / "store/spool");
  SqliteBackend backend({directory / "store", 0}, spool);
  for (const Lane& lane : backend.lanes()) queued += lane.queued;
  CHECK(queued == 50);
}
