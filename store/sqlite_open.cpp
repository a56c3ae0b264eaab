// The start-up part of SqliteBackend.
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "store/control.hpp"
#include "store/sqlite_backend.hpp"
#include "store/sqlite_format.hpp"
#include "store/sqlite_schema.hpp"

namespace raincheck::store {
namespace {

constexpr int writer_cache_kib = 4'096;
constexpr int orphans_max = 10'000;  // at a time
// More than can have been given out since a copy was made: 2^30.
constexpr char settle_copy_sql[] =
    "UPDATE run SET epoch = (SELECT value FROM meta WHERE name = 'epoch'), attempt = attempt + 1, "
    "due = 0 WHERE epoch = 0;"
    "INSERT INTO run SELECT key, 1, (SELECT value FROM meta WHERE name = 'epoch'), created, 0, '', "
    "'' "
    "FROM req WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.key = req.key) "
    "AND NOT EXISTS (SELECT 1 FROM resp WHERE resp.key = req.key);"
    "DELETE FROM later;"
    "UPDATE lane SET head = tail + 1073741824, tail = tail + 1073741824, queued = 0, later = 0;"
    "DELETE FROM meta WHERE name = 'copied'";

jobs::IdCodec::Secret random_secret() {
  jobs::IdCodec::Secret secret{};
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    throw std::runtime_error(std::string("no random bytes: ") + std::strerror(errno));
  }
  return secret;
}

}  // namespace

void SqliteBackend::open() {
  connection_ = std::make_unique<SqliteConnection>(files_.database(), writer_cache_kib);
  connection_->execute("PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL");
  const bool empty = integer(*connection_, "SELECT count(*) FROM sqlite_schema") == 0;
  if (!empty) check_format(*connection_, files_.database());
  {
    SqliteStatement mode(*connection_, "PRAGMA journal_mode=WAL");
    SqliteRows rows = mode.query();
    if (!rows.next() || rows.bytes(0) != "wal") {
      throw std::runtime_error("the file system of " + options_.directory +
                               " has no shared memory, which the store needs");
    }
  }
  // Longer only after a backup held it back.
  connection_->execute("PRAGMA journal_size_limit=" + std::to_string(SqliteLog::bytes_max));
  if (empty) create();
  settle_copy();
  read_secret();
  log_ = std::make_unique<SqliteLog>(files_, *connection_, spool_.space());
  files_.sync_directory();
  files_.reserve_log_index();
}

// All or nothing, so that a store that has tables has everything.
void SqliteBackend::create() {
  connection_->execute("BEGIN IMMEDIATE");
  connection_->execute(sqlite_schema);
  connection_->execute("PRAGMA application_id=" + std::to_string(sqlite_application_id));
  SqliteStatement insert(*connection_, "INSERT INTO meta VALUES (?, ?)");
  insert.run(std::string_view("schema"), sqlite_schema_version);
  insert.run(std::string_view("epoch"), 0);
  insert.run(std::string_view("secret"), blob(random_secret()));
  connection_->execute("COMMIT");
}

void SqliteBackend::read_secret() {
  SqliteStatement select(*connection_, "SELECT value FROM meta WHERE name = 'secret'");
  SqliteRows rows = select.query();
  if (!rows.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
  secret_ = rows.array<jobs::IdCodec::Secret>(0);
}

// Jobs that wait in a copy may have been carried out since it was made, by the process that made
// it: they are taken for running, so that recovery sends again only what may be sent again. Places
// that were given out since are not given out again.
void SqliteBackend::settle_copy() {
  if (integer(*connection_, "SELECT count(*) FROM meta WHERE name = 'copied'") == 0) return;
  connection_->execute("BEGIN IMMEDIATE");
  connection_->execute(settle_copy_sql);
  connection_->execute("COMMIT");
  was_copied_ = true;
}

// Attempts of this process are told from those of every earlier one.
std::uint64_t SqliteBackend::raise_epoch() {
  connection_->execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'");
  if (!control::attempt_record) {
    connection_->execute(
        "UPDATE lane SET later = later + (SELECT count(*) FROM run WHERE epoch <> 0 AND "
        "key >> 39 = lane.lane);"
        "INSERT INTO later SELECT key >> 39, 1, key FROM run WHERE epoch <> 0;"
        "UPDATE run SET epoch = 0, due = 1, attempt = attempt - 1 WHERE epoch <> 0");
  }
  const std::int64_t epoch = integer(*connection_, "SELECT value FROM meta WHERE name = 'epoch'");
  return static_cast<std::uint64_t>(epoch);
}

void SqliteBackend::remove_orphans() {
  std::vector<std::uint64_t> named;
  SqliteStatement select(*connection_, "SELECT number FROM spool ORDER BY number");
  SqliteRows rows = select.query();
  while (rows.next()) named.push_back(rows.number<std::uint64_t>(0));
  spool_.remove_orphans(named);
}

std::vector<Backend::Orphan> SqliteBackend::orphans(const jobs::Place& after) {
  std::vector<Orphan> orphans;
  SqliteStatement select(*connection_,
                         "SELECT run.key, attempt, epoch, started, random, created, start_by, "
                         "finish_by, may_resend, route, request_id, spool, size, monitor, history, "
                         "redrive_of, labels, authorizes_polls "
                         "FROM run JOIN req USING (key) WHERE run.key > ? AND epoch <> 0 "
                         "ORDER BY run.key LIMIT ?");
  SqliteRows rows = select.query(after.key(), orphans_max);
  while (rows.next()) {
    Orphan& orphan = orphans.emplace_back();
    orphan.epoch = rows.number<std::uint64_t>(2);
    jobs::Job& job = orphan.job;
    job.id.place = jobs::Place::from_key(options_.partition, rows.integer(0));
    job.id.random = rows.array<jobs::Random>(4);
    job.state = jobs::State::running;
    job.attempt = rows.number<std::uint32_t>(1);
    job.started_at = rows.time(3);
    job.created_at = rows.time(5);
    job.start_by = rows.time(6);
    job.finish_by = rows.time(7);
    job.may_resend = rows.integer(8) != 0;
    job.route = rows.string(9);
    job.request_id = rows.string(10);
    job.body.spool = rows.number<std::uint64_t>(11);
    job.body.size = rows.number<std::uint64_t>(12);
    job.monitor = rows.string(13);
    job.history = rows.string(14);
    job.redrive_of = rows.string(15);
    job.labels = rows.string(16);
    job.authorizes_polls = rows.integer(17) != 0;
  }
  return orphans;
}

}  // namespace raincheck::store
