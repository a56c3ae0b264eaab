#include "store/sqlite.hpp"

#include <cerrno>
#include <cstring>

#include "store/control.hpp"

namespace raincheck::store {
namespace {

bool is_lack_of_space(sqlite3* db, int code) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  if (code != SQLITE_IOERR_WRITE || !db) return false;
  // A quota is a full disk too, though SQLite does not say so.
  const int reason = sqlite3_system_errno(db);
  return reason == ENOSPC || reason == EDQUOT;
}

std::string describe(sqlite3* db, int code) {
  std::string text = sqlite3_errstr(code);
  if (db && sqlite3_extended_errcode(db) == code) text = sqlite3_errmsg(db);
  return text + " (SQLite " + std::to_string(code) + ")";
}

constexpr int busy_ms_max = 5'000;

// Counting what SQLite allocates costs a lock per allocation, a tenth of a job's whole cost.
void configure_once() {
  static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(configured);
}

}  // namespace

SqliteError::SqliteError(sqlite3* db, int code)
    : std::runtime_error(describe(db, code)), code_(code), full_(is_lack_of_space(db, code)) {}

SqliteConnection::SqliteConnection(const std::string& path, int cache_kib, Access access) {
  configure_once();
  const int how = access == Access::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  const int code = sqlite3_open_v2(path.c_str(), &db_, how | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const SqliteError error(db_, code);
    sqlite3_close_v2(db_);
    throw error;
  }
  sqlite3_extended_result_codes(db_, 1);
  // Only another program that looks into the file can make us wait.
  sqlite3_busy_timeout(db_, busy_ms_max);
  try {
    execute(control::sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    execute("PRAGMA cache_size=-" + std::to_string(cache_kib));
    execute("PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY");
    // What is erased is zeroed where its page is written anyway; Debian's default writes more.
    execute("PRAGMA secure_delete=FAST");
  } catch (...) {
    sqlite3_close_v2(db_);
    throw;
  }
}

SqliteConnection::~SqliteConnection() {
  sqlite3_close_v2(db_);
}

void SqliteConnection::execute(const std::string& sql) {
  check(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr));
}

void SqliteConnection::check(int code) {
  if (code != SQLITE_OK) throw SqliteError(db_, code);
}

bool SqliteRows::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw SqliteError(sqlite3_db_handle(statement_), code);
}

std::string_view SqliteRows::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return {static_cast<const char*>(data), data ? size : 0};
}

void SqliteRows::copy(int column, std::uint8_t* into, std::size_t size) const {
  const std::string_view from = bytes(column);
  if (from.size() != size) throw SqliteError(nullptr, SQLITE_CORRUPT);
  std::memcpy(into, from.data(), size);
}

SqliteStatement::SqliteStatement(SqliteConnection& connection, std::string_view sql) {
  connection.check(sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

// Binding a null pointer would bind NULL: nothing is empty, not missing.
void SqliteStatement::bind(int index, std::string_view value) {
  const char* data = value.data() ? value.data() : "";
  check(sqlite3_bind_text64(statement_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void SqliteStatement::bind(int index, Blob value) {
  const char* data = value.bytes.data() ? value.bytes.data() : "";
  check(sqlite3_bind_blob64(statement_, index, data, value.bytes.size(), SQLITE_STATIC));
}

void SqliteStatement::check(int code) {
  if (code != SQLITE_OK) throw SqliteError(sqlite3_db_handle(statement_), code);
}

}  // namespace raincheck::store
