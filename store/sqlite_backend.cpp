#include "store/sqlite_backend.hpp"

#include <algorithm>
#include <limits>

#include "store/control.hpp"

namespace raincheck::store {
namespace {

constexpr int page_bytes = 8'192;
constexpr int reader_cache_kib = 1'024;

// Free pages that the database keeps: new rows take them without its file growing. Of the others a
// few are given back to the file system with each Prune: 64 of them take some milliseconds.
constexpr std::uint64_t free_pages_kept = 1'024;  // and an eighth of all
constexpr char vacuum_sql[] = "PRAGMA incremental_vacuum(64)";

bool has_excess(std::uint64_t pages, std::uint64_t free_pages) {
  return free_pages > std::max(free_pages_kept, pages / 8);
}

// Another try may succeed: the disk was full, or somebody else wrote.
bool is_passing(const SqliteError& error) {
  return error.is_full() || (error.code() & 0xff) == SQLITE_BUSY;
}

// Erasing frees room by itself.
Space::For purpose(std::span<Command* const> batch) {
  const bool reclaims = std::any_of(batch.begin(), batch.end(), [](const Command* command) {
    return std::holds_alternative<Prune>(*command) || std::holds_alternative<Erase>(*command);
  });
  return reclaims ? Space::For::reclaiming : Space::For::recording;
}

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
  spool.space().open(options.directory);
  try {
    open();
    writer_ = std::make_unique<SqliteWriter>(*connection_, options.partition, raise_epoch());
    commit_ = std::make_unique<SqliteStatement>(*connection_, "COMMIT");
    page_count_ = std::make_unique<SqliteStatement>(*connection_, "PRAGMA page_count");
    free_count_ = std::make_unique<SqliteStatement>(*connection_, "PRAGMA freelist_count");
    vacuum_ = std::make_unique<SqliteStatement>(*connection_, vacuum_sql);
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

// A change beside the batches. What could not be synced is no more trusted here than there.
template <class F>
auto SqliteBackend::change(F make) {
  if (failed_) throw std::runtime_error("the store failed earlier");
  try {
    return make();
  } catch (const SqliteError& error) {
    if (!is_passing(error)) fail(error.what());
    throw;
  }
}

std::vector<std::uint32_t> SqliteBackend::open_lanes(std::span<const LaneName> names) {
  return change([&] { return writer_->lanes().open(names); });
}

std::vector<Lane> SqliteBackend::lanes() {
  return writer_->lanes().all();
}

std::vector<std::string> SqliteBackend::paused() {
  std::vector<std::string> paused;
  SqliteStatement select(*connection_, "SELECT what FROM paused ORDER BY what");
  SqliteRows rows = select.query();
  while (rows.next()) paused.push_back(rows.string(0));
  return paused;
}

void SqliteBackend::set_paused(const std::string& what, bool paused) {
  change([&] {
    SqliteStatement statement(*connection_, paused ? "INSERT OR IGNORE INTO paused VALUES (?)"
                                                   : "DELETE FROM paused WHERE what = ?");
    statement.run(what);
  });
}

// Pages on the free list are used again before the file grows.
void SqliteBackend::measure() {
  SqliteRows pages = page_count_->query();
  SqliteRows unused = free_count_->query();
  pages.next();
  unused.next();
  pages_ = pages.number<std::uint64_t>(0);
  free_pages_ = unused.number<std::uint64_t>(0);
  spool_.space().set_rows((pages_ - free_pages_) * page_bytes);
}

void SqliteBackend::vacuum(std::span<Command* const> batch) {
  for (Command* const command : batch) {
    auto* const prune = std::get_if<Prune>(command);
    if (!prune || !has_excess(pages_, free_pages_)) continue;
    const std::uint64_t pages_before = pages_;
    {
      SqliteRows steps = vacuum_->query();
      while (steps.next()) {
      }
    }
    measure();
    // A database of an earlier version gives nothing back.
    prune->more = pages_ < pages_before && has_excess(pages_, free_pages_);
  }
}

jobs::Result<void> SqliteBackend::apply(std::span<Command* const> batch) {
  if (failed_) return jobs::Error(jobs::Fault::store_failed, "the store failed earlier");
  try {
    const bool begun = sqlite3_get_autocommit(connection_->handle()) == 0;
    if (!control::commit_first && begun) commit_->run();
    log_->before_batch();
    writer_->begin(spool_.space().room());
    for (Command* command : batch) {
      std::visit([this](auto& each) { writer_->apply(each); }, *command);
    }
    writer_->end();
    measure();
    vacuum(batch);
    // Before the commit, for after it nobody may be left to say that these files have a row.
    for (const std::uint64_t number : writer_->named()) spool_.keep(number);
    if (control::commit_first) commit_->run();
  } catch (const SqliteError& error) {
    return roll_back(error, batch);
  }
  writer_->commit();
  spool_.erase(writer_->erased());
  return {};
}

jobs::Error SqliteBackend::roll_back(const SqliteError& error, std::span<Command* const> batch) {
  if (!is_passing(error)) return fail(error.what());
  try {
    if (sqlite3_get_autocommit(connection_->handle()) == 0) connection_->execute("ROLLBACK");
  } catch (const SqliteError& again) {
    return fail(again.what());
  }
  writer_->rollback();
  for (const std::uint64_t number : writer_->named()) spool_.unkeep(number);
  if (error.is_full()) spool_.space().give_up(purpose(batch));
  return jobs::Error(jobs::Fault::store_full, error.what());
}

jobs::Error SqliteBackend::fail(const std::string& why) {
  failed_ = true;
  log_->stop();
  return jobs::Error(jobs::Fault::store_failed, why);
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
  if (present && command.with_request) reader_->lookup.read_request(command.job);
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

jobs::Result<void> SqliteBackend::list(List& command) {
  const std::lock_guard lock(listing_mutex_);
  try {
    if (!listing_) {
      listing_ = std::make_unique<SqliteListing>(files_.database(), options_.partition);
    }
    listing_->list(command);
  } catch (const SqliteError& error) {
    return jobs::Error(jobs::Fault::internal, std::string("jobs cannot be read: ") + error.what());
  }
  return {};
}

void SqliteBackend::checkpoint() {
  spool_.sweep();
  spool_.space().take_again();
  if (failed_) return;
  try {
    log_->copy();
  } catch (const SqliteError& error) {
    fail(error.what());
  }
}

bool SqliteBackend::checkpoint_due() const {
  return spool_.sweep_due() || log_->due() || !spool_.space().is_whole();
}

std::uint64_t SqliteBackend::bytes() const {
  return spool_.space().rows() + log_->bytes() + spool_.bytes();
}

}  // namespace raincheck::store
