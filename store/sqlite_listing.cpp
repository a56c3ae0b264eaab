#include "store/sqlite_listing.hpp"

#include <algorithm>
#include <set>

namespace raincheck::store {
namespace {

constexpr int cache_kib = 1'024;

bool is_wanted(const List& command, const jobs::Job& job) {
  return (!command.state || job.state == *command.state) &&
         (!command.error || job.error == *command.error) &&
         (command.route.empty() || job.route == command.route) &&
         (command.request_id.empty() || job.request_id == command.request_id) &&
         job.created_at >= command.created_from && job.created_at < command.created_before;
}

}  // namespace

SqliteListing::SqliteListing(const std::string& database, std::uint8_t partition)
    : partition_(partition),
      connection_(database, cache_kib, SqliteConnection::Access::read),
      lookup_(connection_),
      begin_(connection_, "BEGIN"),
      end_(connection_, "COMMIT"),
      tails_(connection_, "SELECT tail, route FROM lane ORDER BY lane"),
      random_(connection_,
              "SELECT random FROM resp WHERE key = ?1 UNION ALL "
              "SELECT random FROM req WHERE key = ?1 LIMIT 1"),
      last_final_(connection_, "SELECT max(key) FROM resp WHERE key >= ? AND key < ?"),
      last_request_(connection_, "SELECT max(key) FROM req WHERE key >= ? AND key < ?"),
      first_final_(connection_, "SELECT min(key) FROM resp WHERE key >= ? AND key < ?"),
      first_request_(connection_, "SELECT min(key) FROM req WHERE key >= ? AND key < ?"),
      last_labeled_(connection_,
                    "SELECT max(key) FROM label WHERE key >= ? AND key < ? AND label = ?"),
      first_labeled_(connection_,
                     "SELECT min(key) FROM label WHERE key >= ? AND key < ? AND label = ?") {}

// Lanes of other routes have nothing to be looked at, and those that were opened after a cursor was
// begun are not walked by it.
void SqliteListing::begin_cursor(List& command) {
  if (!command.cursor.empty()) return;
  SqliteRows rows = tails_.query();
  while (rows.next()) {
    const bool is_wanted = command.route.empty() || rows.bytes(1) == command.route;
    const std::uint64_t begin = command.newest_first ? rows.number<std::uint64_t>(0) : 1;
    command.cursor.push_back(is_wanted ? begin : 0);
  }
}

// Newest first, the cursor is the sequence that was looked at last, else the one to look at next.
// 0: there is nothing more to look at.
template <class... Values>
std::optional<std::int64_t> SqliteListing::next_key(SqliteStatement& statement,
                                                    const List& command,
                                                    std::uint32_t lane,
                                                    const Values&... values) {
  const std::uint64_t at = command.cursor[lane - 1];
  const std::uint64_t from = command.newest_first ? 0 : at;
  const std::uint64_t before = command.newest_first ? at : jobs::Place::sequence_max;
  if (at == 0) return std::nullopt;
  SqliteRows rows = statement.query(jobs::Place{partition_, lane, from}.key(),
                                    jobs::Place{partition_, lane, before}.key(), values...);
  if (!rows.next() || rows.is_null(0)) return std::nullopt;
  return rows.integer(0);
}

std::optional<std::int64_t> SqliteListing::next_key(const List& command, std::uint32_t lane) {
  const bool down = command.newest_first;
  if (!command.label.empty()) {
    return next_key(down ? last_labeled_ : first_labeled_, command, lane, command.label);
  }
  const auto one = next_key(down ? last_final_ : first_final_, command, lane);
  const auto other = next_key(down ? last_request_ : first_request_, command, lane);
  if (!one || !other) return one ? one : other;
  return down ? std::max(*one, *other) : std::min(*one, *other);
}

std::optional<SqliteListing::Next> SqliteListing::next_in_lane(const List& command,
                                                               std::uint32_t lane) {
  const auto key = next_key(command, lane);
  if (!key) return std::nullopt;
  Next next;
  next.place = jobs::Place::from_key(partition_, *key);
  next.job = read(next.place);
  return next;
}

jobs::Job SqliteListing::read(const jobs::Place& place) {
  jobs::JobId id;
  id.place = place;
  {
    SqliteRows rows = random_.query(place.key());
    if (!rows.next()) throw SqliteError(nullptr, SQLITE_CORRUPT);
    id.random = rows.array<jobs::Random>(0);
  }
  jobs::Job job;
  if (lookup_.find(id, false, job) != SqliteLookup::Found::present) {
    throw SqliteError(nullptr, SQLITE_CORRUPT);
  }
  return job;
}

void SqliteListing::list(List& command) {
  begin_.run();
  try {
    walk(command);
  } catch (...) {
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  end_.run();
}

// The lanes side by side, so that the jobs come in the order in which they were submitted.
void SqliteListing::walk(List& command) {
  command.jobs.clear();
  command.more = false;
  begin_cursor(command);
  std::vector<std::optional<Next>> heads(command.cursor.size());
  std::set<std::pair<std::int64_t, std::uint32_t>> order;  // of the heads: when, lane
  const auto look_at = [&](std::uint32_t lane) {
    heads[lane - 1] = next_in_lane(command, lane);
    if (!heads[lane - 1]) {
      if (command.newest_first) command.cursor[lane - 1] = 0;  // none is going to come there
      return;
    }
    const std::int64_t created = heads[lane - 1]->job.created_at.time_since_epoch().count();
    order.emplace(command.newest_first ? -created : created, lane);
  };
  for (std::uint32_t lane = 1; lane <= heads.size(); ++lane) look_at(lane);
  for (std::uint32_t looked = 0; !order.empty(); ++looked) {
    if (looked == command.look_max || command.jobs.size() == command.count_max) {
      command.more = true;
      return;
    }
    const std::uint32_t lane = order.begin()->second;
    order.erase(order.begin());
    Next& head = *heads[lane - 1];
    command.cursor[lane - 1] = head.place.sequence + (command.newest_first ? 0 : 1);
    if (is_wanted(command, head.job)) command.jobs.push_back(std::move(head.job));
    look_at(lane);
  }
}

}  // namespace raincheck::store
