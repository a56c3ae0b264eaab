// What the conformance suite needs of a backend: a place of its own, opening it again after a clean
// end or a crash, and applying commands one by one. A new backend adds a class like SqliteUnderTest
// and its name to BACKEND_TEST.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/sqlite_backend.hpp"

namespace raincheck::store {

// Every backend passes every test that is declared with this.
#define BACKEND_TEST(name) TEST_CASE_TEMPLATE(name, UnderTest, raincheck::store::SqliteUnderTest)

// Removed at the end. In memory where the machine has such a file system.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::error_code none;
    const bool memory = std::filesystem::is_directory("/dev/shm", none);
    const std::filesystem::path base = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string path = (base / "raincheck-test-XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline jobs::WallTime at(std::int64_t ms) {
  return jobs::WallTime(jobs::milliseconds(ms));
}

class SqliteUnderTest {
 public:
  SqliteUnderTest() { open(); }
  ~SqliteUnderTest() { close(); }

  Backend& operator*() { return *backend_; }
  Backend* operator->() { return backend_.get(); }
  Spool& spool() { return *spool_; }
  std::string directory() const { return directory_ / std::to_string(generation_); }
  void set_limits(const Space::Limits& limits) { limits_ = limits; }

  void open() {
    spool_ = std::make_unique<Spool>(directory() + "/spool", limits_);
    backend_ = std::make_unique<SqliteBackend>(SqliteOptions{directory(), 0}, *spool_);
  }
  void close() {
    backend_.reset();
    spool_.reset();
  }
  void reopen() {
    close();
    open();
  }
  // Goes on with what a kill would have left on the disk.
  void crash() {
    const std::string before = directory();
    ++generation_;
    std::filesystem::copy(before, directory(), std::filesystem::copy_options::recursive);
    std::filesystem::remove(directory() + "/raincheck.db-shm");
    close();
    std::filesystem::remove_all(before);
    open();
  }

  // How many requests there are: of jobs that have not ended, and kept ones of failed jobs.
  std::size_t requests() {
    SqliteConnection connection(directory() + "/raincheck.db", 256);
    SqliteStatement count(connection, "SELECT count(*) FROM req");
    SqliteRows rows = count.query();
    rows.next();
    return rows.number<std::size_t>(0);
  }

  template <class C>
  C apply(C with) {
    Command command(std::move(with));
    Command* batch = &command;
    const jobs::Result<void> applied = backend_->apply(std::span(&batch, 1));
    REQUIRE_MESSAGE(applied.has_value(), (applied ? "" : applied.error().detail));
    return std::get<C>(std::move(command));
  }

  Find find(const jobs::JobId& id, bool with_response = false) {
    Find command;
    command.id = id;
    command.with_response = with_response;
    Find* batch = &command;
    const jobs::Result<void> found = backend_->find(std::span(&batch, 1));
    REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().detail));
    return command;
  }

 private:
  TemporaryDirectory directory_;
  int generation_ = 0;
  Space::Limits limits_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<SqliteBackend> backend_;
};

inline std::uint32_t open_lane(Backend& backend,
                               const std::string& upstream,
                               const std::string& route = "route",
                               std::uint8_t priority = 0) {
  const LaneName name{upstream, route, priority};
  return backend.open_lanes(std::span(&name, 1)).front();
}

// Commands with everything that a test does not care about filled in.

inline Insert an_insert(std::uint32_t lane, std::uint8_t mark, bool start = false) {
  Insert insert;
  jobs::NewJob& job = insert.job;
  job.random.fill(mark);
  job.lane = lane;
  job.created_at = at(1'000);
  job.start_by = at(50'000);
  job.finish_by = at(90'000);
  job.may_resend = true;
  job.route = "route";
  job.request_id = "request-" + std::to_string(mark);
  job.head = "POST /reports/" + std::to_string(mark) + "\r\n";
  job.body = jobs::Body::inline_bytes("request body " + std::to_string(mark));
  job.retention = jobs::milliseconds(60'000);
  insert.start = start;
  return insert;
}

inline Insert labeled(Insert insert, std::string labels = "customer=17\nkind=a\n") {
  insert.job.labels = std::move(labels);
  return insert;
}

inline Insert with_key(Insert insert, std::uint8_t key, std::uint8_t fingerprint) {
  jobs::Key with;
  with.key.fill(key);
  with.fingerprint.fill(fingerprint);
  insert.job.key = with;
  return insert;
}

inline Claim a_claim(std::uint32_t lane, std::uint32_t count, std::int64_t now = 2'000) {
  Claim claim;
  Claim::Share& share = claim.shares.emplace_back();
  share.lane = lane;
  share.count = count;
  claim.now = at(now);
  return claim;
}

inline Fence a_fence(const jobs::JobId& id, std::uint32_t attempt, std::uint64_t epoch = 0) {
  return Fence{id.place, attempt, epoch};
}

inline Finish a_finish(const Fence& fence, jobs::State state = jobs::State::succeeded) {
  Finish finish;
  finish.fence = fence;
  finish.state = state;
  if (state == jobs::State::failed) finish.error = jobs::ErrorType::upstream_status;
  finish.response.status = state == jobs::State::failed ? 500 : 200;
  finish.response.head = "Content-Type: text/plain\r\n";
  finish.response.body = jobs::Body::inline_bytes("the answer");
  finish.now = at(3'000);
  finish.retention = jobs::milliseconds(10'000);
  finish.request_retention = jobs::milliseconds(10'000);
  return finish;
}

inline Requeue a_requeue(const Fence& fence, std::int64_t due, bool counts = true) {
  Requeue requeue;
  requeue.fence = fence;
  requeue.due_at = at(due);
  requeue.counts = counts;
  return requeue;
}

inline Follow a_follow(const Fence& fence, std::string monitor) {
  Follow follow;
  follow.fence = fence;
  follow.monitor = std::move(monitor);
  return follow;
}

inline Cancel a_cancel(const jobs::JobId& id) {
  Cancel cancel;
  cancel.id = id;
  cancel.now = at(3'000);
  cancel.retention = jobs::milliseconds(10'000);
  return cancel;
}

inline Erase an_erase(const jobs::JobId& id) {
  Erase erase;
  erase.id = id;
  return erase;
}

inline Prune a_prune(std::int64_t now, std::uint32_t count = 100) {
  Prune prune;
  prune.now = at(now);
  prune.count_max = count;
  return prune;
}

// The marks of claimed jobs, in order.
inline std::vector<int> marks(const Claim& claim) {
  std::vector<int> marks;
  for (const jobs::Job& job : claim.jobs) marks.push_back(job.id.random[0]);
  return marks;
}

}  // namespace raincheck::store
