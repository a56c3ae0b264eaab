#include "store/sqlite_writer.hpp"

#include <algorithm>

#include "jobs/labels.hpp"
#include "store/control.hpp"

namespace raincheck::store {
namespace {

std::uint64_t stored_bytes(const jobs::NewJob& job) {
  return job.head.size() + job.body.bytes.size();
}

}  // namespace

SqliteWriter::SqliteWriter(SqliteConnection& connection,
                           std::uint8_t partition,
                           std::uint64_t epoch)
    : partition_(partition),
      epoch_(epoch),
      lanes_(connection),
      lookup_(connection),
      begin_(connection, "BEGIN IMMEDIATE"),
      insert_request_(connection,
                      "INSERT INTO req VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      select_requests_(connection,
                       "SELECT key, random, created, start_by, finish_by, may_resend, route, "
                       "request_id, spool, size, head, body, redrive_of, labels, authorizes_polls "
                       "FROM req WHERE key >= ? AND key < ? AND start_by > 0 ORDER BY key LIMIT ?"),
      select_times_(connection,
                    "SELECT key, created, start_by, finish_by FROM req WHERE key >= ? AND key < ? "
                    "AND start_by > 0 ORDER BY key LIMIT ?"),
      select_later_times_(connection,
                          "SELECT later.due, key, attempt, start_by, finish_by FROM later "
                          "CROSS JOIN run USING (key) CROSS JOIN req USING (key) "
                          "WHERE lane = ? AND later.due <= ? ORDER BY later.due, key LIMIT ?"),
      leave_queue_(connection, "UPDATE req SET start_by = 0 WHERE key = ?"),
      select_ending_(connection,
                     "SELECT random, created, retention, route, request_id, idem, spool, attempt, "
                     "epoch, started, redrive_of, history, labels, authorizes_polls "
                     "FROM req LEFT JOIN run USING (key) WHERE req.key = ?"),
      delete_request_(connection, "DELETE FROM req WHERE key = ?"),
      insert_run_(connection, "INSERT INTO run VALUES (?, ?, ?, ?, 0, '', '')"),
      select_run_(connection, "SELECT attempt, epoch, monitor, history FROM run WHERE key = ?"),
      start_again_(connection,
                   "UPDATE run SET attempt = ?, epoch = ?, started = ?, due = 0 WHERE key = ?"),
      stop_run_(connection,
                "UPDATE run SET attempt = ?, epoch = 0, due = ?, history = ? WHERE key = ?"),
      follow_run_(connection, "UPDATE run SET monitor = ? WHERE key = ?"),
      delete_run_(connection, "DELETE FROM run WHERE key = ?"),
      insert_later_(connection, "INSERT INTO later VALUES (?, ?, ?)"),
      select_later_(connection,
                    "SELECT due, key FROM later WHERE lane = ? AND due <= ? ORDER BY due, key "
                    "LIMIT ?"),
      delete_later_(connection, "DELETE FROM later WHERE lane = ? AND due = ? AND key = ?"),
      insert_final_(
          connection,
          "INSERT INTO resp VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?, ?, ?)"),
      overwrite_final_(connection,
                       "UPDATE resp SET state = ?, error = ?, status = ?, head = ?, body = ? "
                       "WHERE key = ?"),
      select_final_(connection,
                    "SELECT key, expires, state, idem, spool, labels FROM resp WHERE key = ?"),
      delete_final_(connection, "DELETE FROM resp WHERE key = ?"),
      insert_expiry_(connection, "INSERT INTO expire VALUES (?, ?)"),
      select_expired_(connection,
                      "SELECT key, expires, state, idem, spool, labels, at FROM expire "
                      "LEFT JOIN resp USING (key) WHERE at <= ? ORDER BY at, key LIMIT ?"),
      delete_expiry_(connection, "DELETE FROM expire WHERE at = ? AND key = ?"),
      delete_expired_(connection, "DELETE FROM expire WHERE (at, key) <= (?, ?)"),
      insert_key_(connection, "INSERT INTO idem VALUES (?, ?, ?)"),
      select_key_(connection, "SELECT key, fingerprint FROM idem WHERE hash = ?"),
      delete_key_(connection, "DELETE FROM idem WHERE hash = ?"),
      select_random_(connection,
                     "SELECT random FROM resp WHERE key = ?1 UNION ALL "
                     "SELECT random FROM req WHERE key = ?1 LIMIT 1"),
      insert_label_(connection, "INSERT INTO label VALUES (?, ?)"),
      delete_label_(connection, "DELETE FROM label WHERE label = ? AND key = ?"),
      insert_spool_(connection, "INSERT INTO spool VALUES (?, ?)"),
      delete_spool_(connection, "DELETE FROM spool WHERE number = ?") {}

void SqliteWriter::begin(std::uint64_t room) {
  room_ = room;
  named_.clear();
  erased_.clear();
  begin_.run();
}

void SqliteWriter::end() {
  lanes_.write();
}

void SqliteWriter::commit() {
  lanes_.commit();
}

void SqliteWriter::rollback() {
  lanes_.rollback();
  erased_.clear();
}

void SqliteWriter::apply(Insert& command) {
  const jobs::NewJob& job = command.job;
  if (job.key && known(command)) return;
  LaneCounters& lane = lanes_.touch(job.lane);
  const std::uint64_t bytes = stored_bytes(job);
  if (bytes >= room_ || lane.tail > jobs::Place::sequence_max) {
    command.refused = true;
    return;
  }
  room_ -= bytes;
  const jobs::Place place{partition_, job.lane, lane.tail++};
  const std::int64_t key = place.key();
  std::optional<Blob> hash;
  if (job.key) hash = blob(job.key->key);
  insert_request_.run(key, blob(job.random), job.created_at, job.start_by, job.finish_by,
                      job.retention, job.may_resend, job.authorizes_polls, job.route,
                      job.request_id, hash, job.redrive_of, job.labels, job.body.spool,
                      job.body.size, blob(job.head), blob(job.body.bytes));
  if (job.key) insert_key_.run(*hash, key, blob(job.key->fingerprint));
  for (std::string_view rest = job.labels; !rest.empty();) {
    insert_label_.run(jobs::take_label(rest), key);
  }
  if (job.body.spool != 0) name_spool(job.body.spool, key);
  const bool retry_first = lane.next_due != jobs::WallTime() && lane.next_due <= job.created_at;
  if (command.start && lane.queued == 0 && (command.under_way || !retry_first)) {
    insert_run_.run(key, 1, epoch_, job.created_at);
    lane.head = lane.tail;
    command.outcome = Insert::Outcome::running;
  } else {
    ++lane.queued;
    command.outcome = Insert::Outcome::queued;
  }
  command.id = jobs::JobId{place, job.random};
}

bool SqliteWriter::known(Insert& command) {
  const jobs::Key& asked = *command.job.key;
  SqliteRows rows = select_key_.query(blob(asked.key));
  if (!rows.next()) return false;
  if (rows.array<jobs::Digest>(1) != asked.fingerprint) {
    command.outcome = Insert::Outcome::key_reused;
    return true;
  }
  const std::int64_t key = rows.integer(0);
  SqliteRows job = select_random_.query(key);
  if (!job.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
  command.outcome = Insert::Outcome::existed;
  command.id = jobs::JobId{jobs::Place::from_key(partition_, key), job.array<jobs::Random>(0)};
  return true;
}

void SqliteWriter::name_spool(std::uint64_t number, std::int64_t key) {
  insert_spool_.run(number, key);
  named_.push_back(number);
}

void SqliteWriter::erase_spool(std::uint64_t number) {
  delete_spool_.run(number);
  erased_.push_back(number);
}

void SqliteWriter::apply(Claim& command) {
  command.jobs.clear();
  for (Claim::Share& share : command.shares) {
    LaneCounters& lane = lanes_.touch(share.lane);
    std::uint32_t wanted = share.count;
    if (lane.later > 0) wanted -= claim_later(command, share, lane);
    if (lane.queued > 0 && wanted > 0) claim_queued(command, share, wanted, lane);
    share.queued = lane.waiting();
    share.due = lane.queued > 0 ? jobs::WallTime() : lane.next_due;
  }
}

// How many.
std::uint32_t SqliteWriter::claim_later(Claim& command,
                                        const Claim::Share& share,
                                        LaneCounters& lane) {
  due_.clear();
  {
    SqliteRows rows = select_later_.query(share.lane, command.now, share.count);
    while (rows.next()) due_.emplace_back(rows.integer(0), rows.integer(1));
  }
  for (const auto& [due, key] : due_) {
    SqliteRows run = select_run_.query(key);
    SqliteRows request = select_requests_.query(key, key + 1, 1);
    if (!run.next() || !request.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
    jobs::Job& job = command.jobs.emplace_back(read_request(request));
    job.attempt = run.number<std::uint32_t>(0) + 1;
    job.started_at = command.now;
    job.monitor = run.string(2);
    job.history = run.string(3);
    start_again_.run(job.attempt, epoch_, command.now, key);
    delete_later_.run(share.lane, due, key);
  }
  lane.later -= due_.size();
  if (!due_.empty()) lanes_.refresh_due(share.lane, lane);
  return static_cast<std::uint32_t>(due_.size());
}

void SqliteWriter::claim_queued(Claim& command,
                                const Claim::Share& share,
                                std::uint32_t wanted,
                                LaneCounters& lane) {
  const std::size_t claimed_before = command.jobs.size();
  const jobs::Place first{partition_, share.lane, lane.head};
  const jobs::Place last{partition_, share.lane, lane.tail};
  {
    SqliteRows rows = select_requests_.query(first.key(), last.key(), wanted);
    while (rows.next()) command.jobs.push_back(read_request(rows));
  }
  for (std::size_t i = claimed_before; i < command.jobs.size(); ++i) {
    jobs::Job& job = command.jobs[i];
    job.attempt = 1;
    job.started_at = command.now;
    insert_run_.run(job.id.place.key(), 1, epoch_, command.now);
  }
  const std::size_t claimed = command.jobs.size() - claimed_before;
  if (claimed > lane.queued) throw SqliteError(nullptr, SQLITE_CORRUPT);
  lane.queued -= claimed;
  lane.head = claimed == wanted ? command.jobs.back().id.place.sequence + 1 : lane.tail;
}

jobs::Job SqliteWriter::read_request(const SqliteRows& rows) {
  jobs::Job job;
  job.id.place = jobs::Place::from_key(partition_, rows.integer(0));
  job.id.random = rows.array<jobs::Random>(1);
  job.state = jobs::State::running;
  job.created_at = rows.time(2);
  job.start_by = rows.time(3);
  job.finish_by = rows.time(4);
  job.may_resend = rows.integer(5) != 0;
  job.route = rows.string(6);
  job.request_id = rows.string(7);
  job.body.spool = rows.number<std::uint64_t>(8);
  job.body.size = rows.number<std::uint64_t>(9);
  job.head = rows.string(10);
  job.body.bytes = rows.string(11);
  job.redrive_of = rows.string(12);
  job.labels = rows.string(13);
  job.authorizes_polls = rows.integer(14) != 0;
  return job;
}

// How a job ends, whoever ends it.
struct SqliteWriter::Ending {
  std::int64_t key = 0;
  jobs::State state = jobs::State::failed;
  jobs::ErrorType error = jobs::ErrorType::none;
  jobs::WallTime now{};
  jobs::milliseconds retention{};
  jobs::milliseconds request_retention{};
  const jobs::Response& response;
  std::string_view history = {};  // empty: as it is
};

void SqliteWriter::apply(Finish& command) {
  const std::int64_t key = command.fence.place.key();
  SqliteRows job = select_ending_.query(key);
  command.applied = job.next() && !job.is_null(7) &&
                    holds(command.fence, job.number<std::uint32_t>(7), job.integer(8));
  if (command.applied) {
    make_final(job, Ending{key, command.state, command.error, command.now, command.retention,
                           command.request_retention, command.response, command.history});
  } else if (!control::fence) {
    overwrite(command);
  }
}

bool SqliteWriter::holds(const Fence& fence, std::uint32_t attempt, std::int64_t epoch) const {
  const std::uint64_t wanted = fence.epoch == 0 ? epoch_ : fence.epoch;
  return fence.place.partition == partition_ && fence.attempt == attempt &&
         static_cast<std::uint64_t>(epoch) == wanted;
}

// `job` stands on the row of select_ending_, and is ended here.
jobs::WallTime SqliteWriter::make_final(SqliteRows& job, const Ending& ending) {
  const jobs::Response& response = ending.response;
  const auto own = jobs::milliseconds(job.integer(2));
  const jobs::WallTime expires = ending.now + (ending.retention.count() ? ending.retention : own);
  const auto request_spool = job.number<std::uint64_t>(6);
  const bool begun = !job.is_null(7);
  std::optional<Blob> hash;
  if (!job.is_null(5)) hash = Blob{job.bytes(5)};
  const std::string_view history = ending.history.empty() ? job.bytes(11) : ending.history;
  insert_final_.run(ending.key, Blob{job.bytes(0)}, ending.state, ending.error, job.integer(7),
                    job.integer(1), job.integer(9), ending.now, expires, job.integer(13),
                    job.bytes(3), job.bytes(4), hash, job.bytes(10), job.bytes(12), history,
                    response.status, response.body.spool, response.body.size, blob(response.head),
                    blob(response.body.bytes));
  job.end();
  insert_expiry_.run(expires, ending.key);
  if (begun) delete_run_.run(ending.key);
  if (response.body.spool != 0) name_spool(response.body.spool, ending.key);
  const bool keeps_request =
      ending.state == jobs::State::failed && ending.request_retention.count() > 0;
  const jobs::WallTime request_expires = ending.now + ending.request_retention;
  if (!keeps_request) {
    erase_request(ending.key, request_spool);
  } else if (request_expires < expires) {
    insert_expiry_.run(request_expires, ending.key);
  }
  return expires;
}

void SqliteWriter::end_expired(Expire& command, std::int64_t key) {
  const jobs::Response none;
  SqliteRows row = select_ending_.query(key);
  if (!row.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
  make_final(row, Ending{key,
                         jobs::State::failed,
                         command.error,
                         command.now,
                         {},
                         command.request_retention,
                         none});
  command.ended.push_back(jobs::Place::from_key(partition_, key));
}

// Only for the control that ignores the fence.
void SqliteWriter::overwrite(const Finish& command) {
  overwrite_final_.run(command.state, command.error, command.response.status,
                       blob(command.response.head), blob(command.response.body.bytes),
                       command.fence.place.key());
}

void SqliteWriter::erase_request(std::int64_t key, std::uint64_t spool) {
  delete_request_.run(key);
  if (spool != 0) erase_spool(spool);
}

void SqliteWriter::apply(Requeue& command) {
  const jobs::Place& place = command.fence.place;
  std::uint32_t attempt = 0;
  std::string history = command.history;
  {
    SqliteRows run = select_run_.query(place.key());
    if (!run.next()) return;
    attempt = run.number<std::uint32_t>(0);
    command.applied = holds(command.fence, attempt, run.integer(1));
    if (history.empty()) history = run.string(3);
  }
  if (!command.applied) return;
  // The epoch stands for "not due later" elsewhere.
  const jobs::WallTime due = std::max(command.due_at, jobs::WallTime(jobs::milliseconds(1)));
  stop_run_.run(command.counts ? attempt : attempt - 1, due, history, place.key());
  insert_later_.run(place.lane, due, place.key());
  LaneCounters& lane = lanes_.touch(place.lane);
  ++lane.later;
  if (lane.next_due == jobs::WallTime() || due < lane.next_due) lane.next_due = due;
}

void SqliteWriter::apply(Follow& command) {
  const std::int64_t key = command.fence.place.key();
  {
    SqliteRows run = select_run_.query(key);
    if (!run.next()) return;
    command.applied = holds(command.fence, run.number<std::uint32_t>(0), run.integer(1));
  }
  if (command.applied) follow_run_.run(command.monitor, key);
}

Presence SqliteWriter::resolve(const jobs::JobId& id, jobs::Job& job) {
  if (id.place.partition != partition_) return Presence::unknown;
  switch (lookup_.find(id, false, job)) {
    case SqliteLookup::Found::present:
      return Presence::present;
    case SqliteLookup::Found::unknown:
      return Presence::unknown;
    case SqliteLookup::Found::absent:
      break;
  }
  const LaneCounters* lane = lanes_.find(id.place.lane);
  return lane && id.place.sequence < lane->tail ? Presence::gone : Presence::unknown;
}

void SqliteWriter::apply(Cancel& command) {
  jobs::Job& job = command.job;
  command.presence = resolve(command.id, job);
  if (command.presence != Presence::present) return;
  command.was = job.state;
  if (jobs::is_final(job.state)) return;
  if (job.state == jobs::State::queued) leave_queue(job);
  const std::int64_t key = command.id.place.key();
  const jobs::Response none;
  SqliteRows row = select_ending_.query(key);
  if (!row.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
  job.expires_at = make_final(row, Ending{key,
                                          jobs::State::canceled,
                                          jobs::ErrorType::none,
                                          command.now,
                                          command.retention,
                                          {},
                                          none});
  job.state = jobs::State::canceled;
  job.finished_at = command.now;
  job.due_at = jobs::WallTime();
  job.monitor.clear();
  job.body = jobs::Body();
}

void SqliteWriter::leave_queue(const jobs::Job& job) {
  const jobs::Place& place = job.id.place;
  LaneCounters& lane = lanes_.touch(place.lane);
  if (job.due_at == jobs::WallTime()) {
    --lane.queued;
    return;
  }
  delete_later_.run(place.lane, job.due_at, place.key());
  --lane.later;
  lanes_.refresh_due(place.lane, lane);
}

void SqliteWriter::apply(Erase& command) {
  jobs::Job job;
  command.presence = resolve(command.id, job);
  if (command.presence != Presence::present) return;
  command.was = job.state;
  if (jobs::is_final(job.state)) erase_job(command.id.place.key());
}

void SqliteWriter::erase_job(std::int64_t key) {
  FinalJob job;
  {
    SqliteRows rows = select_final_.query(key);
    if (!rows.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
    job = read_final(rows);
  }
  delete_expiry_.run(job.expires, key);
  erase_final(job);
}

SqliteWriter::FinalJob SqliteWriter::read_final(const SqliteRows& rows) {
  return FinalJob{rows.integer(0),
                  rows.time(1),
                  rows.number<jobs::State>(2),
                  rows.string(3),
                  rows.number<std::uint64_t>(4),
                  rows.string(5)};
}

// All but its row in expire.
void SqliteWriter::erase_final(const FinalJob& job) {
  delete_final_.run(job.key);
  if (!job.idem.empty()) delete_key_.run(Blob{job.idem});
  for (std::string_view rest = job.labels; !rest.empty();) {
    delete_label_.run(jobs::take_label(rest), job.key);
  }
  if (job.spool != 0) erase_spool(job.spool);
  if (job.state == jobs::State::failed) erase_kept_request(job.key);
}

void SqliteWriter::erase_kept_request(std::int64_t key) {
  std::uint64_t spool = 0;
  {
    SqliteRows rows = select_ending_.query(key);
    if (!rows.next()) return;
    spool = rows.number<std::uint64_t>(6);
  }
  erase_request(key, spool);
}

void SqliteWriter::apply(Prune& command) {
  expired_.clear();
  {
    SqliteRows rows = select_expired_.query(command.now, command.count_max);
    while (rows.next()) expired_.push_back({rows.time(6), read_final(rows)});
  }
  for (const Expiry& expiry : expired_) {
    if (expiry.at == expiry.job.expires) {
      erase_final(expiry.job);
    } else {
      erase_kept_request(expiry.job.key);
    }
  }
  if (!expired_.empty()) delete_expired_.run(expired_.back().at, expired_.back().job.key);
  command.count = static_cast<std::uint32_t>(expired_.size());
}

}  // namespace raincheck::store
