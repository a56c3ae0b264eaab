#include "store/sqlite_lookup.hpp"

namespace raincheck::store {
namespace {

constexpr char final_sql[] =
    "SELECT random, state, error, attempt, created, started, finished, expires, route, request_id, "
    "redrive_of, labels, history, status, spool, size, authorizes_polls FROM resp WHERE key = ?";
constexpr char final_with_response_sql[] =
    "SELECT random, state, error, attempt, created, started, finished, expires, route, request_id, "
    "redrive_of, labels, history, status, spool, size, authorizes_polls, head, body FROM resp "
    "WHERE key = ?";
constexpr char pending_sql[] =
    "SELECT random, created, start_by, finish_by, may_resend, route, request_id, spool, size, "
    "attempt, epoch, started, due, monitor, redrive_of, labels, history, "
    "authorizes_polls FROM req LEFT JOIN run USING (key) WHERE req.key = ?";
constexpr char request_sql[] = "SELECT head, spool, size, body FROM req WHERE key = ?";

}  // namespace

SqliteLookup::SqliteLookup(SqliteConnection& connection)
    : final_(connection, final_sql),
      final_with_response_(connection, final_with_response_sql),
      pending_(connection, pending_sql),
      request_(connection, request_sql) {}

SqliteLookup::Found SqliteLookup::find(const jobs::JobId& id, bool with_response, jobs::Job& job) {
  // A failed job has its request still: the final row is the truth.
  const Found found = find_final(id, with_response, job);
  return found == Found::absent ? find_pending(id, job) : found;
}

SqliteLookup::Found SqliteLookup::find_final(const jobs::JobId& id,
                                             bool with_response,
                                             jobs::Job& job) {
  SqliteStatement& statement = with_response ? final_with_response_ : final_;
  SqliteRows rows = statement.query(id.place.key());
  if (!rows.next()) return Found::absent;
  if (!jobs::same(rows.array<jobs::Random>(0), id.random)) return Found::unknown;
  job.id = id;
  job.state = rows.number<jobs::State>(1);
  job.error = rows.number<jobs::ErrorType>(2);
  job.attempt = rows.number<std::uint32_t>(3);
  job.created_at = rows.time(4);
  job.started_at = rows.time(5);
  job.finished_at = rows.time(6);
  job.expires_at = rows.time(7);
  job.route = rows.string(8);
  job.request_id = rows.string(9);
  job.redrive_of = rows.string(10);
  job.labels = rows.string(11);
  job.history = rows.string(12);
  job.response.status = rows.number<int>(13);
  job.response.body.spool = rows.number<std::uint64_t>(14);
  job.response.body.size = rows.number<std::uint64_t>(15);
  job.authorizes_polls = rows.integer(16) != 0;
  if (with_response) {
    job.response.head = rows.string(17);
    job.response.body.bytes = rows.string(18);
  }
  return Found::present;
}

SqliteLookup::Found SqliteLookup::find_pending(const jobs::JobId& id, jobs::Job& job) {
  SqliteRows rows = pending_.query(id.place.key());
  if (!rows.next()) return Found::absent;
  if (!jobs::same(rows.array<jobs::Random>(0), id.random)) return Found::unknown;
  job.id = id;
  job.state = pending_state(rows.integer(10));
  job.created_at = rows.time(1);
  job.start_by = rows.time(2);
  job.finish_by = rows.time(3);
  job.may_resend = rows.integer(4) != 0;
  job.route = rows.string(5);
  job.request_id = rows.string(6);
  job.body.spool = rows.number<std::uint64_t>(7);
  job.body.size = rows.number<std::uint64_t>(8);
  job.attempt = rows.number<std::uint32_t>(9);
  job.started_at = rows.time(11);
  job.due_at = rows.time(12);
  job.monitor = rows.string(13);
  job.redrive_of = rows.string(14);
  job.labels = rows.string(15);
  job.history = rows.string(16);
  job.authorizes_polls = rows.integer(17) != 0;
  return Found::present;
}

void SqliteLookup::read_request(jobs::Job& job) {
  SqliteRows rows = request_.query(job.id.place.key());
  if (!rows.next()) return;
  job.head = rows.string(0);
  job.body.spool = rows.number<std::uint64_t>(1);
  job.body.size = rows.number<std::uint64_t>(2);
  job.body.bytes = rows.string(3);
}

jobs::State pending_state(std::int64_t epoch) {
  return epoch == 0 ? jobs::State::queued : jobs::State::running;
}

}  // namespace raincheck::store
