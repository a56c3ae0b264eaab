#include "store/sqlite_log.hpp"

#include <algorithm>

namespace raincheck::store {
namespace {

constexpr int page_bytes = 8'192;
constexpr int frame_bytes = page_bytes + 24;
constexpr int step_frames = 128;    // copied at a time: 1 MiB
constexpr int long_frames = 4'096;  // the log is to start over: 32 MiB
constexpr int rest_frames = 64;     // little enough for the writer: half a millisecond
constexpr int passes_max = 4;       // each leaves a fraction of what the one before left
constexpr int frames_limit = SqliteLog::bytes_max / page_bytes;

}  // namespace

SqliteLog::SqliteLog(const SqliteFiles& files, SqliteConnection& writer, Space& space)
    : files_(files), space_(space), writer_(writer), connection_(files.database(), 256) {
  sqlite3_wal_hook(writer_.handle(), &SqliteLog::on_commit, this);
}

int SqliteLog::on_commit(void* self, sqlite3*, const char*, int frames) {
  auto& log = *static_cast<SqliteLog*>(self);
  log.frames_.store(frames, std::memory_order_relaxed);
  if (frames > log.frames_max_.load(std::memory_order_relaxed)) {
    log.frames_max_.store(frames, std::memory_order_relaxed);
  }
  return SQLITE_OK;
}

std::uint64_t SqliteLog::bytes() const {
  return static_cast<std::uint64_t>(frames_max_.load(std::memory_order_relaxed)) * frame_bytes;
}

bool SqliteLog::due() const {
  const int frames = frames_.load(std::memory_order_relaxed);
  const int copied = copied_.load(std::memory_order_relaxed);
  const int added = frames < copied ? frames : frames - copied;
  return added >= step_frames && !rest_due_.load(std::memory_order_relaxed) &&
         !stopped_.load(std::memory_order_relaxed);
}

SqliteLog::Progress SqliteLog::run(SqliteConnection& connection) {
  Progress progress;
  const int code = sqlite3_wal_checkpoint_v2(connection.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             &progress.frames, &progress.copied);
  // Busy: another program looks into the file. Full: the database cannot grow now; the log keeps
  // what it holds.
  const int primary = code & 0xff;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) return Progress();
  if (code != SQLITE_OK) {
    const SqliteError error(connection.handle(), code);
    if (!error.is_full()) throw error;
    space_.give_up(Space::For::reclaiming);
  }
  return progress;
}

void SqliteLog::copy() {
  if (!due()) return;
  const std::lock_guard lock(copying_);
  const int copied_before = copied_.load(std::memory_order_relaxed);
  Progress progress = run(connection_);
  copied_.store(progress.copied, std::memory_order_relaxed);
  if (progress.frames < long_frames) {
    files_.write_back();
    return;
  }
  // A backup still reads what was there before.
  if (progress.copied == copied_before) return;
  for (int pass = 0; pass < passes_max; ++pass) {
    if (!files_.sync_database()) throw SqliteError(nullptr, SQLITE_IOERR_FSYNC);
    if (frames_.load(std::memory_order_relaxed) - progress.copied <= rest_frames) break;
    progress = run(connection_);
  }
  rest_due_.store(true, std::memory_order_relaxed);
}

void SqliteLog::before_batch() {
  const bool too_long = frames_.load(std::memory_order_relaxed) >= frames_limit;
  if (!rest_due_.load(std::memory_order_relaxed) && !too_long) return;
  const std::lock_guard copying(copying_);
  const std::lock_guard reads(reads_);
  run(writer_);
  rest_due_.store(false, std::memory_order_relaxed);
}

void SqliteLog::stop() {
  stopped_.store(true, std::memory_order_relaxed);
  for (SqliteConnection* connection : {&writer_, &connection_}) {
    sqlite3_db_config(connection->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
}

}  // namespace raincheck::store
