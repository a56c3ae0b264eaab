// A day's churn of the embedded store at speed: jobs come, end and are erased under a manual clock,
// so that about as many are kept at any time; then a peak of four times as many; then as before.
// Measured are the sizes on the disk and how long a commit takes. Ends with status 1 if the files
// grow without end, or do not shrink after the peak.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

#include "bench/arguments.hpp"
#include "bench/histogram.hpp"
#include "store/sqlite_backend.hpp"

namespace {

using namespace raincheck;
using namespace raincheck::store;
using bench::Histogram;
using Clock = std::chrono::steady_clock;

constexpr std::string_view usage =
    "usage: raincheck-bench-churn --directory DIR [--jobs N] [--kept N]\n"
    "  --directory DIR  a new store is made in it; on a real disk\n"
    "  --jobs N         in all [1000000]\n"
    "  --kept N         whose results are there at a time [50000]\n";

constexpr std::size_t batch_jobs = 64;
constexpr jobs::milliseconds between_batches{64};  // of the manual clock: a job each
constexpr int batches_between_prunings = 2;
constexpr std::size_t inline_max = 16 * 1024;

std::uint32_t open_lane(Backend& backend) {
  const LaneName name{"legacy", "jobs", 0};
  return backend.open_lanes(std::span(&name, 1)).front();
}

class Churn {
 public:
  Churn(const std::string& directory, std::uint64_t kept)
      : directory_(directory),
        kept_(kept),
        spool_(directory + "/spool", Space::Limits{0, 0, 64 << 20}),
        backend_(SqliteOptions{directory, 0}, spool_),
        lane_(open_lane(backend_)),
        upkeep_([this] { maintain(); }) {}
  ~Churn() {
    over_ = true;
    upkeep_.join();
  }

  // `times` as many jobs are kept as otherwise.
  void run(const char* phase, std::uint64_t jobs, std::uint64_t times);
  // Nothing comes any more: what is given back to the file system while a commit is made now and
  // then.
  void shrink();
  std::uint64_t database_bytes() const {
    return std::filesystem::file_size(directory_ + "/raincheck.db");
  }
  std::uint64_t largest() const { return largest_; }
  void forget_largest() { largest_ = 0; }

 private:
  void maintain() {
    while (!over_) {
      if (backend_.checkpoint_due()) backend_.checkpoint();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  // From a hundred bytes to a mebibyte, most of them small; above inline_max in the spool.
  jobs::Body body();
  Insert insert();
  Finish finish(const jobs::JobId& id, std::uint64_t times);
  void commit(std::vector<Command>& commands, Histogram& times);
  void tell(const char* phase, std::uint64_t jobs, const Histogram& times);

  std::string directory_;
  std::uint64_t kept_;
  Spool spool_;
  SqliteBackend backend_;
  std::uint32_t lane_;
  jobs::WallTime now_{jobs::milliseconds(1'000'000)};
  std::mt19937_64 dice_{1};
  std::string bytes_ = std::string(1 << 20, 'x');
  std::uint64_t largest_ = 0;
  std::atomic<bool> over_{false};
  std::thread upkeep_;
};

jobs::Body Churn::body() {
  const double power = std::uniform_real_distribution<double>(0, 1)(dice_);
  const bool is_large = std::uniform_int_distribution<int>(0, 199)(dice_) == 0;
  const double size = is_large ? 16'384 * std::pow(64, power) : 100 * std::pow(100, power);
  const auto bytes = std::string_view(bytes_).substr(0, static_cast<std::size_t>(size));
  if (bytes.size() <= inline_max) return jobs::Body::inline_bytes(std::string(bytes));
  auto file = spool_.create(SpoolUse::accepted);
  if (!file || !(*file)->append(bytes) || !(*file)->sync()) throw std::runtime_error("spool");
  jobs::Body body;
  body.spool = (*file)->number();
  body.size = bytes.size();
  (*file)->release();
  return body;
}

Insert Churn::insert() {
  Insert insert;
  jobs::NewJob& job = insert.job;
  for (auto& byte : job.random) byte = static_cast<std::uint8_t>(dice_());
  job.lane = lane_;
  job.created_at = now_;
  job.start_by = job.finish_by = now_ + jobs::milliseconds(86'400'000);
  job.route = "reports";
  job.request_id = "01890a5d-ac96-774b-bcce-b302099a8057";
  job.head = "POST /reports\r\nContent-Type: application/json\r\n";
  job.retention = jobs::milliseconds(static_cast<std::int64_t>(kept_));
  job.body = body();
  insert.start = true;
  return insert;
}

Finish Churn::finish(const jobs::JobId& id, std::uint64_t times) {
  Finish finish;
  finish.fence = Fence{id.place, 1, 0};
  finish.state = jobs::State::succeeded;
  finish.response.status = 200;
  finish.response.head = "Content-Type: application/json\r\n";
  finish.response.body = body();
  finish.now = now_;
  finish.retention = jobs::milliseconds(static_cast<std::int64_t>(kept_ * times));
  return finish;
}

void Churn::commit(std::vector<Command>& commands, Histogram& times) {
  std::vector<Command*> batch;
  for (Command& command : commands) batch.push_back(&command);
  const auto began = Clock::now();
  const jobs::Result<void> applied = backend_.apply(batch);
  times.add(Clock::now() - began);
  if (!applied) throw std::runtime_error(applied.error().detail);
  largest_ = std::max(largest_, database_bytes());
}

void Churn::tell(const char* phase, std::uint64_t jobs, const Histogram& times) {
  const auto ms = [](std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / 1e6;
  };
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& each :
       std::filesystem::directory_iterator(directory_ + "/spool"))
    ++files;
  std::printf(
      "%-7s %8llu jobs: database %5llu MiB, rows %5llu MiB, log %4llu MiB, spool %5llu MiB in %5zu "
      "files; commit p50 %.2f ms, p99 %.2f ms, max %.1f ms\n",
      phase, static_cast<unsigned long long>(jobs),
      static_cast<unsigned long long>(database_bytes() >> 20),
      static_cast<unsigned long long>(spool_.space().rows() >> 20),
      static_cast<unsigned long long>(
          std::filesystem::file_size(directory_ + "/raincheck.db-wal") >> 20),
      static_cast<unsigned long long>(spool_.bytes() >> 20), files, ms(times.quantile(0.5)),
      ms(times.quantile(0.99)), ms(times.max()));
  std::fflush(stdout);
}

void Churn::run(const char* phase, std::uint64_t jobs, std::uint64_t times) {
  Histogram durations;
  std::vector<jobs::JobId> running;
  int batches = 0;
  const std::uint64_t told_every = std::max<std::uint64_t>(jobs / 4, 1);
  std::uint64_t told_at = told_every;
  for (std::uint64_t done = 0; done < jobs; done += batch_jobs) {
    std::vector<Command> commands;
    for (std::size_t i = 0; i < batch_jobs; ++i) commands.emplace_back(insert());
    for (const jobs::JobId& id : running) commands.emplace_back(finish(id, times));
    if (++batches % batches_between_prunings == 0) {
      Prune prune;
      prune.now = now_;
      prune.count_max = 256;
      commands.emplace_back(prune);
    }
    commit(commands, durations);
    running.clear();
    for (std::size_t i = 0; i < batch_jobs; ++i)
      running.push_back(std::get<Insert>(commands[i]).id);
    now_ += between_batches;
    if (done + batch_jobs >= told_at) {
      tell(phase, done + batch_jobs, durations);
      durations = Histogram();
      told_at += told_every;
    }
  }
  std::vector<Command> commands;
  for (const jobs::JobId& id : running) commands.emplace_back(finish(id, times));
  commit(commands, durations);
}

void Churn::shrink() {
  Histogram durations;
  std::uint64_t steps = 0;
  bool more = true;
  for (; more; ++steps) {
    Prune prune;
    prune.now = now_;
    prune.count_max = 256;
    std::vector<Command> commands;
    commands.emplace_back(prune);
    commit(commands, durations);
    const auto& pruned = std::get<Prune>(commands.front());
    more = pruned.more || pruned.count == prune.count_max;
  }
  tell("shrink", steps, durations);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv, usage);
  const std::string directory = arguments.text("--directory", "");
  const std::uint64_t total = arguments.number("--jobs", 1'000'000);
  const std::uint64_t kept = arguments.number("--kept", 50'000);
  if (directory.empty()) {
    std::fputs(usage.data(), stderr);
    return 64;
  }
  try {
    Churn churn(directory, kept);
    churn.run("fill", total / 5, 1);
    churn.forget_largest();
    const std::uint64_t before = churn.database_bytes();
    churn.run("steady", total / 5 * 2, 1);
    const std::uint64_t steady = churn.largest();
    churn.run("peak", total / 5, 4);
    const std::uint64_t peak = churn.largest();
    churn.run("after", total / 5, 1);
    churn.run("after", kept * 4, 1);
    churn.shrink();
    const std::uint64_t end = churn.database_bytes();
    std::printf("database: %llu MiB, steady at most %llu, at the peak %llu, in the end %llu\n",
                static_cast<unsigned long long>(before >> 20),
                static_cast<unsigned long long>(steady >> 20),
                static_cast<unsigned long long>(peak >> 20),
                static_cast<unsigned long long>(end >> 20));
    // Eight mebibytes of free pages are kept in any case.
    const std::uint64_t most = before + before / 4 + (8 << 20);
    const bool is_bounded = steady < most && end < most;
    if (!is_bounded) std::puts("the files grow without end, or do not shrink again");
    return is_bounded ? 0 : 1;
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "raincheck-bench-churn: %s\n", error.what());
    return 2;
  }
}
