#include "store/sqlite_format.hpp"

#include "store/sqlite_schema.hpp"

namespace raincheck::store {

void check_format(SqliteConnection& connection, const std::string& path) {
  if (integer(connection, "PRAGMA application_id") != sqlite_application_id) {
    throw std::runtime_error(path + " is not a store of raincheck");
  }
  const std::int64_t version = integer(connection, "SELECT value FROM meta WHERE name = 'schema'");
  if (version == sqlite_schema_version) return;
  throw std::runtime_error("the store " + path + " has format " + std::to_string(version) +
                           "; this version of raincheck reads format " +
                           std::to_string(sqlite_schema_version) + " only");
}

std::int64_t integer(SqliteConnection& connection, const char* sql) {
  SqliteStatement statement(connection, sql);
  SqliteRows rows = statement.query();
  return rows.next() ? rows.integer(0) : 0;
}

}  // namespace raincheck::store
