// Random commands on a backend and on a model of it, with ends, crashes and full and broken disks
// between any two batches. A failure prints the seed; RAINCHECK_SEED runs that one alone.
#include <cstdlib>
#include <iterator>
#include <random>
#include <set>

#include "jobs/labels.hpp"
#include "store/backup.hpp"
#include "tests/store/backend_under_test.hpp"
#include "tests/store/faulty_vfs.hpp"
#include "tests/store/model.hpp"

using namespace raincheck::store;
using raincheck::jobs::ErrorType;
using raincheck::jobs::Fault;
using raincheck::jobs::JobId;
using raincheck::jobs::State;
namespace jobs = raincheck::jobs;

namespace {

constexpr std::uint32_t lanes = 3;
constexpr int batches = 40;

class Simulation {
 public:
  explicit Simulation(unsigned seed) : random_(seed), model_(lanes) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane)
      open_lane(*store_, "upstream", "route-" + std::to_string(lane));
  }

  // Nothing, or what went wrong.
  std::string run() {
    std::string wrong;
    for (int i = 0; i < batches && wrong.empty(); ++i) {
      wrong = one_batch();
      if (wrong.empty() && one_in(8)) wrong = restart();
      if (wrong.empty()) wrong = look_around();
      now_ += below(300);
      if (!wrong.empty()) wrong = "batch " + std::to_string(i) + ": " + wrong;
    }
    if (!wrong.empty()) return wrong;
    const Findings found = verify(store_.directory());
    return found.wrong.empty() ? "" : found.wrong[0];
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t chances) { return below(chances) == 0; }
  jobs::WallTime time(std::uint64_t later) { return at(static_cast<std::int64_t>(now_ + later)); }

  // An id of a job that was inserted once, or close to one.
  JobId some_id() {
    if (ids_.empty()) return JobId{jobs::Place{0, 1, 1}, {}};
    JobId id = ids_[below(ids_.size())];
    if (one_in(20)) id.random[3] ^= 1;
    if (one_in(20)) id.place.sequence += 1;
    return id;
  }

  Fence some_fence() {
    const JobId id = some_id();
    Fence fence{id.place, static_cast<std::uint32_t>(1 + below(2)), 0};
    const auto known = model_.jobs().find(id.place.key());
    if (known != model_.jobs().end() && !one_in(10)) {
      fence.attempt = known->second.job.attempt;
      // The backend's own epoch has no other name here.
      fence.epoch = known->second.epoch == model_.epoch ? 0 : known->second.epoch;
    }
    return fence;
  }

  std::string bytes() {
    const std::uint64_t size = one_in(10) ? below(30'000) : below(200);
    return std::string(size, static_cast<char>(random_()));
  }

  Insert some_insert() {
    Insert insert;
    jobs::NewJob& job = insert.job;
    for (std::uint8_t& byte : job.random) byte = static_cast<std::uint8_t>(random_());
    job.lane = static_cast<std::uint32_t>(1 + below(lanes));
    job.created_at = time(0);
    job.start_by = time(below(100));
    job.finish_by = time(below(1'000));
    job.may_resend = one_in(2);
    job.route = "route-" + std::to_string(below(3));
    job.request_id = bytes().substr(0, 30);
    job.head = bytes();
    job.body = jobs::Body::inline_bytes(bytes());
    job.retention = jobs::milliseconds(1 + below(2'000));
    if (one_in(4)) job.redrive_of = "some-id";
    if (one_in(3)) jobs::append_label(job.labels, "customer", std::to_string(below(2)));
    if (one_in(4)) jobs::append_label(job.labels, "kind", "a");
    job.authorizes_polls = one_in(4);
    insert.start = one_in(2);
    insert.under_way = one_in(4);
    if (one_in(3)) {
      const auto mark = static_cast<std::uint8_t>(below(6));
      insert = with_key(std::move(insert), mark, static_cast<std::uint8_t>(below(2)));
    }
    return insert;
  }

  Finish some_finish() {
    Finish finish = a_finish(some_fence(), one_in(3) ? State::failed : State::succeeded);
    finish.now = time(0);
    finish.retention = jobs::milliseconds(below(3) * 1'000);
    finish.request_retention = jobs::milliseconds(below(4) * 500);
    finish.response.body = jobs::Body::inline_bytes(bytes());
    if (one_in(2)) finish.history = "1 2 3 200 ok\n";
    return finish;
  }

  // Each at most once, in whatever order.
  std::vector<std::uint32_t> some_lanes() {
    std::vector<std::uint32_t> some;
    for (std::uint32_t lane = 1; lane <= lanes; ++lane) {
      if (one_in(2))
        some.insert(some.begin() + static_cast<std::ptrdiff_t>(below(some.size() + 1)), lane);
    }
    return some;
  }

  Expire some_expire() {
    Expire expire;
    for (const std::uint32_t lane : some_lanes()) {
      Expire::Share& share = expire.shares.emplace_back();
      share.lane = lane;
      share.patience = jobs::milliseconds(below(600));
      share.from = below(40);
    }
    if (one_in(8)) expire.error = raincheck::jobs::ErrorType::route_removed;
    expire.look_max = static_cast<std::uint32_t>(1 + below(4));
    expire.now = time(0);
    expire.request_retention = jobs::milliseconds(below(4) * 500);
    return expire;
  }

  Command some_command() {
    const std::uint64_t kind = below(21);
    if (kind < 6) return some_insert();
    if (kind < 9) {
      Claim claim;
      for (const std::uint32_t lane : some_lanes()) {
        const auto count = static_cast<std::uint32_t>(below(4));
        claim.shares.push_back(a_claim(lane, count).shares.front());
      }
      claim.now = time(0);
      return claim;
    }
    if (kind < 11) return some_expire();
    if (kind < 13) return some_finish();
    if (kind < 15) {
      Requeue requeue = a_requeue(some_fence(), 0, one_in(2));
      requeue.due_at = time(below(1'000));
      if (one_in(2)) requeue.history = "1 2 3 503 ok\n";
      return requeue;
    }
    if (kind < 17) {
      Cancel cancel = a_cancel(some_id());
      cancel.now = time(0);
      return cancel;
    }
    if (kind < 19) return an_erase(some_id());
    if (kind == 19) return a_follow(some_fence(), bytes());
    return a_prune(static_cast<std::int64_t>(now_), static_cast<std::uint32_t>(below(10)));
  }

  std::string one_batch() {
    std::vector<Command> commands(1 + below(8));
    for (Command& each : commands) each = some_command();
    std::vector<Command> expected = commands;
    std::vector<Command*> batch;
    for (Command& each : commands) batch.push_back(&each);
    if (one_in(15)) disk_.fail_writes(static_cast<int>(below(6)), SQLITE_FULL);
    if (one_in(40)) disk_.fail_syncs(0, SQLITE_IOERR_FSYNC);
    const jobs::Result<void> applied = store_->apply(batch);
    disk_.heal();
    if (!applied && applied.error().fault == Fault::store_full) return "";
    Model after = model_;
    for (Command& each : expected) after.apply(each);
    if (!applied) return decide_after_crash(after);
    model_ = std::move(after);
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const std::string text = difference(expected[i], commands[i]);
      if (!text.empty()) return "command " + std::to_string(i) + ": " + text;
    }
    note_ids(expected);
    return "";
  }

  void note_ids(const std::vector<Command>& commands) {
    for (const Command& each : commands) {
      const Insert* insert = std::get_if<Insert>(&each);
      if (insert && insert->outcome <= Insert::Outcome::running) ids_.push_back(insert->id);
    }
  }

  // A batch whose sync failed is there as a whole or not at all.
  std::string decide_after_crash(const Model& after) {
    Model before = model_;
    store_.crash();
    model_ = after;
    for (const auto& [key, entry] : after.jobs()) {
      if (std::find(ids_.begin(), ids_.end(), entry.job.id) == ids_.end()) {
        ids_.push_back(entry.job.id);
      }
    }
    if (take_over().empty() && look_around().empty()) return "";
    model_ = std::move(before);
    return "neither the batch nor the state before it: " + take_over() + look_around();
  }

  std::string restart() {
    one_in(2) ? store_.crash() : store_.reopen();
    return take_over();
  }

  // The orphans of a start are what the model has running.
  std::string take_over() {
    model_.epoch += 1'000'000;
    std::size_t running = 0;
    for (const auto& [key, entry] : model_.jobs()) running += entry.job.state == State::running;
    const std::vector<Backend::Orphan> orphans = store_->orphans();
    if (orphans.size() != running) return "orphans";
    for (const Backend::Orphan& orphan : orphans) {
      Find expected = model_.find(orphan.job.id);
      const std::string text = difference(expected.job, orphan.job);
      if (!text.empty()) return "orphan: " + text;
      model_.set_epoch(orphan.job.id, orphan.epoch);
    }
    return "";
  }

  // Page by page, in either order.
  std::string look_for_label() {
    List page;
    page.label = one_in(2) ? "kind=a" : "customer=" + std::to_string(below(3));
    page.newest_first = one_in(2);
    page.count_max = static_cast<std::uint32_t>(1 + below(4));
    std::vector<jobs::Job> listed;
    do {
      if (!store_->list(page)) return "list";
      std::move(page.jobs.begin(), page.jobs.end(), std::back_inserter(listed));
    } while (page.more);
    if (page.newest_first) std::reverse(listed.begin(), listed.end());
    const auto is_before = [](const jobs::Job& a, const jobs::Job& b) {
      return a.created_at < b.created_at;
    };
    if (!std::is_sorted(listed.begin(), listed.end(), is_before)) return "order of a list";
    std::set<std::int64_t> keys;
    for (const jobs::Job& job : listed) keys.insert(job.id.place.key());
    if (keys.size() != listed.size()) return "a job that is listed twice";
    return keys == model_.labeled(page.label) ? "" : "jobs with a label";
  }

  std::string look_around() {
    for (const Lane& lane : store_->lanes()) {
      if (lane.queued != model_.queued(lane.number)) return "queued of a lane";
      if (lane.next_due != model_.next_due(lane.number)) return "next_due of a lane";
    }
    if (store_.requests() != model_.requests()) return "requests";
    if (const std::string wrong = look_for_label(); !wrong.empty()) return wrong;
    for (int i = 0; i < 5; ++i) {
      const JobId id = some_id();
      const Find expected = model_.find(id);
      const Find found = store_.find(id, true);
      if (found.presence != expected.presence) return "presence";
      const std::string text = difference(expected.job, found.job);
      if (found.presence == Presence::present && !text.empty()) return "find: " + text;
    }
    return "";
  }

  FaultyVfs disk_;
  std::mt19937_64 random_;
  SqliteUnderTest store_;
  Model model_;
  std::uint64_t now_ = 1'000;
  std::vector<JobId> ids_;
};

}  // namespace

TEST_CASE("a store does what its model does, whatever is asked and whenever it dies") {
  if (const char* seed = std::getenv("RAINCHECK_SEED")) {
    CHECK(Simulation(static_cast<unsigned>(std::atoi(seed))).run() == "");
    return;
  }
  const unsigned first = std::random_device()() % 1'000'000;
  for (unsigned seed = first; seed < first + 120; ++seed) {
    const std::string wrong = Simulation(seed).run();
    REQUIRE_MESSAGE(wrong.empty(), "RAINCHECK_SEED=" << seed << ": " << wrong);
  }
}
