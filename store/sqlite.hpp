// SQLite's C interface as values: a connection, a prepared statement, the rows of one execution.
// Errors are SqliteError, which never leaves the files named sqlite*: SqliteBackend turns it into a
// Result. One thread at a time per connection.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "jobs/job.hpp"

namespace raincheck::store {

class SqliteError : public std::runtime_error {
 public:
  SqliteError(sqlite3* db, int code);
  int code() const { return code_; }  // extended
  // Only space is missing: what was begun is rolled back, and may be tried again.
  bool is_full() const { return full_; }

 private:
  int code_;
  bool full_;
};

class SqliteConnection {
 public:
  enum class Access { write, read };
  // `cache_kib` bounds the pages that are kept in memory.
  SqliteConnection(const std::string& path, int cache_kib, Access access = Access::write);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  void execute(const std::string& sql);
  // Throws unless `code` is SQLITE_OK.
  void check(int code);
  sqlite3* handle() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

// Bound as a blob; text and numbers are bound as what they are.
struct Blob {
  std::string_view bytes;
};

template <class Bytes>
Blob blob(const Bytes& bytes) {
  return Blob{{reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
}

// One execution of a statement; the statement is ready for the next when this ends.
class SqliteRows {
 public:
  explicit SqliteRows(sqlite3_stmt* statement) : statement_(statement) {}
  ~SqliteRows() { sqlite3_reset(statement_); }
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  // False: no further row.
  bool next();
  // No further row is wanted: what was read is not valid any more, and may be changed.
  void end() { sqlite3_reset(statement_); }

  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  template <class T>
  T number(int column) const {
    return static_cast<T>(integer(column));
  }
  jobs::WallTime time(int column) const {
    return jobs::WallTime(jobs::milliseconds(integer(column)));
  }
  // Valid until the next row.
  std::string_view bytes(int column) const;
  std::string string(int column) const { return std::string(bytes(column)); }
  // A blob of exactly this size; anything else in its place is damage.
  template <class Array>
  Array array(int column) const {
    Array array{};
    copy(column, array.data(), array.size());
    return array;
  }

 private:
  void copy(int column, std::uint8_t* into, std::size_t size) const;

  sqlite3_stmt* statement_;
};

class SqliteStatement {
 public:
  SqliteStatement(SqliteConnection& connection, std::string_view sql);
  ~SqliteStatement() { sqlite3_finalize(statement_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Binds the values to the parameters in order. What they refer to must stay until the rows end.
  template <class... Values>
  SqliteRows query(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
    return SqliteRows(statement_);
  }
  // The same for a statement without rows.
  template <class... Values>
  void run(const Values&... values) {
    SqliteRows rows = query(values...);
    rows.next();
  }

 private:
  template <std::integral T>
  void bind(int index, T value) {
    check(sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(value)));
  }
  template <class T>
  requires std::is_enum_v<T>
  void bind(int index, T value) {
    check(sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(value)));
  }
  void bind(int index, jobs::WallTime value) { bind(index, value.time_since_epoch().count()); }
  void bind(int index, jobs::milliseconds value) { bind(index, value.count()); }
  void bind(int index, std::nullptr_t) { check(sqlite3_bind_null(statement_, index)); }
  void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
  void bind(int index, std::string_view value);
  void bind(int index, Blob value);
  void bind(int index, const std::optional<Blob>& value) {
    value ? bind(index, *value) : bind(index, nullptr);
  }
  void check(int code);

  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace raincheck::store
