#include "store/sqlite_backend.hpp"

#include <algorithm>
#include <limits>

#include "store/control.hpp"

namespace raincheck::store {
namespace {

constexpr int page_bytes = 8'192;
constexpr int reader_cache_kib = 1'024;

}  // namespace

// What the reader thread has for itself.
struct SqliteBackend::Reader {
  explicit Reader(const std::string& path)
      : connection(path, reader_cache_kib),
        lookup(connection),
        begin(connection, "BEGIN"),
        end(connection, "COMMIT"),
        lane(connection, "SELECT head, tail, queued FROM lane WHERE lane = ?") {
    connection.execute("PRAGMA query_only=ON");
  }

  SqliteConnection connection;
  SqliteLookup lookup;
  SqliteStatement begin;
  SqliteStatement end;
  SqliteStatement lane;
};

SqliteBackend::SqliteBackend(const SqliteOptions& options, Spool& spool)
    : options_(options), spool_(spool), files_(options.directory) {
  files_.prepare(spool.has_files());
  try {
    open();
    writer_ = std::make_unique<SqliteWriter>(*connection_, options.partition, raise_epoch());
    commit_ = std::make_unique<SqliteStatement>(*connection_, "COMMIT");
    page_count_ = std::make_unique<SqliteStatement>(*connection_, "PRAGMA page_count");
    free_count_ = std::make_unique<SqliteStatement>(*connection_, "PRAGMA freelist_count");
    reader_ = std::make_unique<Reader>(files_.database());
    remove_orphans();
    measure();
  } catch (const SqliteError& error) {
    const int code = error.code() & 0xff;
    std::string text = "the store " + files_.database() + " cannot be opened: " + error.what();
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
      text +=
          "; the file is damaged or not a store: put it back from a backup, or move the "
          "directory away to begin a new store";
    }
    throw std::runtime_error(text);
  }
}

SqliteBackend::~SqliteBackend() = default;

Lane SqliteBackend::open_lane(const std::string& upstream, std::uint8_t priority) {
  return writer_->lanes().open(upstream, priority);
}

std::vector<Lane> SqliteBackend::lanes() {
  return writer_->lanes().all();
}

std::uint64_t SqliteBackend::room() const {
  if (options_.bytes_max == 0) return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t used = used_bytes_.load(std::memory_order_relaxed) + spool_.bytes();
  return options_.bytes_max - std::min(options_.bytes_max, used);
}

// Pages on the free list are used again before the file grows.
void SqliteBackend::measure() {
  SqliteRows pages = page_count_->query();
  SqliteRows unused = free_count_->query();
  pages.next();
  unused.next();
  const std::int64_t used = pages.integer(0) - unused.integer(0);
  used_bytes_.store(static_cast<std::uint64_t>(used) * page_bytes, std::memory_order_relaxed);
}

jobs::Result<void> SqliteBackend::apply(std::span<Command* const> batch) {
  if (failed_) return jobs::Error(jobs::Fault::store_failed, "the store failed earlier");
  try {
    const bool begun = sqlite3_get_autocommit(connection_->handle()) == 0;
    if (!control::commit_first && begun) commit_->run();
    log_->before_batch();
    writer_->begin(room());
    for (Command* command : batch) {
      std::visit([this](auto& each) { writer_->apply(each); }, *command);
    }
    writer_->end();
    measure();
    // Before the commit, for after it nobody may be left to say that these files have a row.
    for (const std::uint64_t number : writer_->named()) spool_.keep(number);
    if (control::commit_first) commit_->run();
  } catch (const SqliteError& error) {
    return roll_back(error);
  }
  writer_->commit();
  forget_erased();
  return {};
}

jobs::Error SqliteBackend::roll_back(const SqliteError& error) {
  if (!error.is_full() && (error.code() & 0xff) != SQLITE_BUSY) return fail(error.what());
  try {
    if (sqlite3_get_autocommit(connection_->handle()) == 0) connection_->execute("ROLLBACK");
  } catch (const SqliteError& again) {
    return fail(again.what());
  }
  writer_->rollback();
  for (const std::uint64_t number : writer_->named()) spool_.unkeep(number);
  return jobs::Error(jobs::Fault::store_full, error.what());
}

jobs::Error SqliteBackend::fail(const std::string& why) {
  failed_ = true;
  log_->stop();
  return jobs::Error(jobs::Fault::store_failed, why);
}

void SqliteBackend::forget_erased() {
  if (writer_->erased().empty()) return;
  const std::lock_guard lock(erased_mutex_);
  erased_.insert(erased_.end(), writer_->erased().begin(), writer_->erased().end());
  has_erased_.store(true, std::memory_order_relaxed);
}

jobs::Result<void> SqliteBackend::find(std::span<Find* const> batch) {
  const std::lock_guard lock(log_->reads());
  try {
    reader_->begin.run();
    for (Find* command : batch) find_one(*command);
    reader_->end.run();
  } catch (const SqliteError& error) {
    if (sqlite3_get_autocommit(reader_->connection.handle()) == 0) {
      sqlite3_exec(reader_->connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    return jobs::Error(jobs::Fault::internal, std::string("a job cannot be read: ") + error.what());
  }
  return {};
}

void SqliteBackend::find_one(Find& command) {
  command.presence = Presence::unknown;
  const jobs::Place& place = command.id.place;
  if (place.partition != options_.partition) return;
  const SqliteLookup::Found found =
      reader_->lookup.find(command.id, command.with_response, command.job);
  if (found == SqliteLookup::Found::unknown) return;
  const bool present = found == SqliteLookup::Found::present;
  const bool in_order =
      present && command.job.state == jobs::State::queued && command.job.due_at == jobs::WallTime();
  if (present) command.presence = Presence::present;
  if (present && !in_order) return;
  SqliteRows lane = reader_->lane.query(place.lane);
  if (!lane.next()) return;
  if (!present && place.sequence < lane.number<std::uint64_t>(1)) {
    command.presence = Presence::gone;
  } else if (in_order) {
    const auto head = lane.number<std::uint64_t>(0);
    const auto others = lane.number<std::uint64_t>(2) - 1;
    command.job.ahead = std::min(place.sequence - std::min(head, place.sequence), others);
  }
}

void SqliteBackend::checkpoint() {
  std::vector<std::uint64_t> erased;
  {
    const std::lock_guard lock(erased_mutex_);
    erased.swap(erased_);
    has_erased_.store(false, std::memory_order_relaxed);
  }
  for (const std::uint64_t number : erased) spool_.remove(number);
  if (failed_) return;
  try {
    log_->copy();
  } catch (const SqliteError& error) {
    fail(error.what());
  }
}

bool SqliteBackend::checkpoint_due() const {
  return has_erased_.load(std::memory_order_relaxed) || log_->due();
}

std::uint64_t SqliteBackend::bytes() const {
  return used_bytes_.load(std::memory_order_relaxed) + log_->bytes() + spool_.bytes();
}

}  // namespace raincheck::store
