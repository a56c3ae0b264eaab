#include "store/backup.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>

#include "jobs/clock.hpp"
#include "jobs/labels.hpp"
#include "store/directory.hpp"
#include "store/file_system.hpp"
#include "store/spool.hpp"
#include "store/sqlite_files.hpp"
#include "store/sqlite_format.hpp"

namespace raincheck::store {
namespace {

constexpr int cache_kib = 16 * 1'024;
constexpr int step_pages = 2'048;  // copied at a time: 16 MiB
constexpr std::size_t piece_bytes = 1024 * 1024;
// While the copy is made the log cannot start over. It must not outgrow its index, for which room
// is taken beforehand (log_index_bytes in sqlite_files.cpp).
constexpr std::uintmax_t log_bytes_max = 896 * 1024 * 1024;

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw std::runtime_error(what + " " + path + ": " + std::strerror(errno));
}

class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), file_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (file_ < 0) fail("cannot open", path);
  }
  ~File() { ::close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int number() const { return file_; }
  void sync() {
    if (::fsync(file_) != 0) fail("cannot sync", path_);
  }

 private:
  std::string path_;
  int file_;
};

void sync_directory(const std::string& path) {
  File(path, O_RDONLY | O_DIRECTORY).sync();
}

void write_all(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void copy_file(const std::string& from, const std::string& to) {
  File source(from, O_RDONLY);
  File copy(to, O_WRONLY | O_CREAT | O_EXCL);
  const auto piece = std::make_unique<char[]>(piece_bytes);
  while (true) {
    const ssize_t got = ::read(source.number(), piece.get(), piece_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read", from);
    if (got == 0) break;
    write_all(copy.number(), {piece.get(), static_cast<std::size_t>(got)}, to);
  }
  copy.sync();
}

// A file of the spool is never changed, so that two directories may share it.
void link_or_copy(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) copy_file(from, to);
}

using Kind = BackupError::Kind;

[[noreturn]] void refuse_content(const std::string& directory, const std::string& name) {
  throw BackupError(Kind::no_place,
                    "the directory " + directory + " is not empty: " + name + " is in it");
}

// What was copied into the store itself would be taken for files of it.
void require_outside(const std::string& copy, const std::string& store) {
  const auto inner = std::filesystem::weakly_canonical(copy);
  const auto outer = std::filesystem::canonical(store);
  if (std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first != outer.end()) {
    return;
  }
  throw BackupError(Kind::no_place,
                    "the copy cannot be in the store's own directory: " + copy + " is in " + store);
}

// What is read must be there, whole and allowed.
void require(const std::string& path, int mode, Kind if_missing, const std::string& why) {
  if (::access(path.c_str(), mode) == 0) return;
  if (errno == ENOENT && if_missing == Kind::damaged) throw BackupError(if_missing, why);
  throw BackupError(Kind::unreadable, "cannot read " + path + ": " + std::strerror(errno));
}

// The directory, private. `allowed` may be in it already.
void make_empty(const std::string& directory, std::initializer_list<std::string_view> allowed) {
  try {
    make_private_directory(directory);
  } catch (const std::runtime_error& error) {
    throw BackupError(Kind::no_place, error.what());
  }
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) {
    throw BackupError(Kind::no_place,
                      "cannot write to the directory " + directory + ": " + std::strerror(errno));
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    refuse_content(directory, name);
  }
}

// A store as of one instant. While it lives nobody removes a file that its rows name.
class Snapshot {
 public:
  explicit Snapshot(const std::string& directory)
      : directory_(directory), database_(directory + "/raincheck.db") {
    require(directory, R_OK | X_OK, Kind::unreadable, "");
    require(database_, R_OK, Kind::damaged,
            database_ + " is missing: there is no store in " + directory +
                ", or a backup that was not finished");
    require(directory + "/spool", R_OK | X_OK, Kind::damaged, directory + "/spool is missing");
    spool_ = std::make_unique<File>(directory + "/spool", O_RDONLY | O_DIRECTORY);
    if (::flock(spool_->number(), LOCK_SH) != 0) fail("cannot lock", directory + "/spool");
    connection_ =
        std::make_unique<SqliteConnection>(database_, cache_kib, SqliteConnection::Access::read);
    connection_->execute("BEGIN");
    try {
      check_format(*connection_, database_);
    } catch (const SqliteError&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw BackupError(Kind::damaged, error.what());
    }
  }

  SqliteConnection& connection() { return *connection_; }
  // With the size of its body; negative: the table says that a row names it, and none does.
  void for_each_file(const std::function<void(std::uint64_t, std::int64_t)>& look) {
    SqliteStatement select(
        *connection_,
        "SELECT number, coalesce((SELECT size FROM resp WHERE resp.key = spool.key AND "
        "resp.spool = number), (SELECT size FROM req WHERE req.key = spool.key AND "
        "req.spool = number), -1) FROM spool ORDER BY number");
    SqliteRows rows = select.query();
    while (rows.next()) look(rows.number<std::uint64_t>(0), rows.integer(1));
  }
  std::string path_of(std::uint64_t number) const {
    return directory_ + "/spool/" + Spool::name_of(number);
  }
  std::uintmax_t log_bytes() const {
    std::error_code none;
    const std::uintmax_t size = std::filesystem::file_size(database_ + "-wal", none);
    return none ? 0 : size;
  }

 private:
  std::string directory_;
  std::string database_;
  std::unique_ptr<File> spool_;
  std::unique_ptr<SqliteConnection> connection_;
};

// What is wrong with a file of the spool; empty: nothing.
std::string look_at_file(const std::string& path, std::int64_t size) {
  struct stat status {};
  if (size < 0) return path + " is named by no job, though the store says so";
  if (::lstat(path.c_str(), &status) != 0) {
    return path + " (" + std::to_string(size) + " bytes): " + std::strerror(errno);
  }
  if (!S_ISREG(status.st_mode)) return path + " is not a file";
  if (status.st_size == size) return "";
  return path + " has " + std::to_string(status.st_size) + " bytes instead of " +
         std::to_string(size);
}

void copy_pages(Snapshot& from, SqliteConnection& to) {
  sqlite3_backup* const copying =
      sqlite3_backup_init(to.handle(), "main", from.connection().handle(), "main");
  if (!copying) throw SqliteError(to.handle(), sqlite3_extended_errcode(to.handle()));
  int code = SQLITE_OK;
  bool is_late = false;
  while (code == SQLITE_OK && !is_late) {
    code = sqlite3_backup_step(copying, step_pages);
    is_late = from.log_bytes() > log_bytes_max;
  }
  const int ended = sqlite3_backup_finish(copying);
  if (is_late && code == SQLITE_OK) {
    throw std::runtime_error(
        "more was written to the store than its log takes while it was copied: try again when less "
        "is going on, or copy to a faster disk");
  }
  to.check(ended);
}

void copy_database(Snapshot& from, const std::string& path) {
  { const File made(path, O_WRONLY | O_CREAT | O_EXCL); }
  {
    SqliteConnection copy(path, cache_kib);
    copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
    copy_pages(from, copy);
    // A file by itself, that can be read where nothing can be written.
    copy.execute("PRAGMA journal_mode=DELETE");
    SqliteStatement mark(copy, "INSERT OR REPLACE INTO meta VALUES ('copied', ?)");
    mark.run(jobs::system_clock().wall_now());
  }
  File(path, O_RDWR).sync();
}

// The name makes it a store.
void name_database(const std::string& directory, const std::string& made) {
  const std::string path = directory + "/raincheck.db";
  if (::rename(made.c_str(), path.c_str()) != 0) fail("cannot name", path);
  sync_directory(directory);
}

void give_to(const std::string& path, const struct stat& owner) {
  if (::geteuid() != 0 || owner.st_uid == 0) return;
  if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) fail("cannot give away", path);
}

// SQLITE_ERROR: a table is not there.
bool is_damage(int code) {
  constexpr int kinds[] = {SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR};
  return code == SQLITE_IOERR_SHORT_READ ||
         std::find(std::begin(kinds), std::end(kinds), code & 0xFF) != std::end(kinds);
}

template <class F>
auto in_words(const std::string& directory, F&& step) {
  try {
    return step();
  } catch (const SqliteError& error) {
    const std::string why = "the store in " + directory + " cannot be read: " + error.what();
    if (is_damage(error.code())) throw BackupError(Kind::damaged, why);
    throw std::runtime_error(why);
  } catch (const std::filesystem::filesystem_error& error) {
    throw std::runtime_error(error.path1().string() + ": " + error.code().message());
  }
}

Findings make(const std::string& store, const std::string& to) {
  Snapshot snapshot(store);
  require_outside(to, store);
  make_empty(to, {"lost+found"});
  const std::string spool = to + "/spool";
  make_private_directory(spool);
  const std::string unfinished = to + "/raincheck.db.unfinished";
  copy_database(snapshot, unfinished);
  Findings findings;
  findings.bytes = std::filesystem::file_size(unfinished);
  snapshot.for_each_file([&](std::uint64_t number, std::int64_t size) {
    const std::string path = snapshot.path_of(number);
    const std::string wrong = look_at_file(path, size);
    if (!wrong.empty()) {
      findings.wrong.push_back(wrong);
      return;
    }
    link_or_copy(path, spool + "/" + Spool::name_of(number));
    ++findings.files;
    findings.bytes += static_cast<std::uint64_t>(size);
  });
  sync_directory(spool);
  name_database(to, unfinished);
  return findings;
}

// The table of labels has what the jobs have, and nothing else.
void look_at_labels(SqliteConnection& connection, std::vector<std::string>& wrong) {
  SqliteStatement find(connection, "SELECT 1 FROM label WHERE label = ? AND key = ?");
  SqliteStatement select(connection,
                         "SELECT key, labels FROM resp WHERE labels <> '' UNION ALL "
                         "SELECT key, labels FROM req WHERE labels <> '' AND key NOT IN "
                         "(SELECT key FROM resp)");
  SqliteRows rows = select.query();
  std::int64_t of_jobs = 0;
  while (rows.next()) {
    for (std::string_view rest = rows.bytes(1); !rest.empty();) {
      const std::string_view label = jobs::take_label(rest);
      if (find.query(label, rows.integer(0)).next()) {
        ++of_jobs;
      } else {
        wrong.push_back("a job has the label " + std::string(label) + ", and is not found by it");
      }
    }
  }
  const std::int64_t of_none = integer(connection, "SELECT count(*) FROM label") - of_jobs;
  if (of_none != 0) wrong.push_back(std::to_string(of_none) + " labels are of no job");
}

Findings look_at(Snapshot& snapshot, const std::string& directory) {
  Findings findings;
  findings.bytes = std::filesystem::file_size(directory + "/raincheck.db");
  {
    SqliteStatement check(snapshot.connection(), "PRAGMA integrity_check(20)");
    SqliteRows rows = check.query();
    while (rows.next()) {
      if (rows.bytes(0) != "ok") findings.wrong.push_back("the database: " + rows.string(0));
    }
  }
  snapshot.for_each_file([&](std::uint64_t number, std::int64_t size) {
    const std::string wrong = look_at_file(snapshot.path_of(number), size);
    if (!wrong.empty()) findings.wrong.push_back(wrong);
    ++findings.files;
    findings.bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
  });
  SqliteStatement select(snapshot.connection(),
                         "SELECT spool FROM (SELECT spool FROM req UNION ALL SELECT spool FROM "
                         "resp) WHERE spool <> 0 AND spool NOT IN (SELECT number FROM spool)");
  SqliteRows rows = select.query();
  while (rows.next()) {
    findings.wrong.push_back("a job names " + snapshot.path_of(rows.number<std::uint64_t>(0)) +
                             ", and the store does not know it");
  }
  look_at_labels(snapshot.connection(), findings.wrong);
  return findings;
}

}  // namespace

Findings back_up(const std::string& store, const std::string& to) {
  return in_words(store, [&] { return make(store, to); });
}

Findings verify(const std::string& directory) {
  return in_words(directory, [&] {
    Snapshot snapshot(directory);
    return look_at(snapshot, directory);
  });
}

Findings restore(const std::string& backup, const std::string& to) {
  return in_words(backup, [&] {
    Snapshot snapshot(backup);
    Findings findings = look_at(snapshot, backup);
    if (!findings.wrong.empty()) return findings;
    if (integer(snapshot.connection(), "SELECT count(*) FROM meta WHERE name = 'copied'") == 0) {
      throw BackupError(Kind::damaged,
                        backup +
                            " is not a backup: it was not made by 'raincheck store backup', or it "
                            "was served since");
    }
    const SqliteFiles locked(to);
    make_empty(to, {"reserve", "lost+found"});
    struct stat owner {};
    if (::stat(to.c_str(), &owner) != 0) fail("cannot look at", to);
    const std::string spool = to + "/spool";
    make_private_directory(spool);
    snapshot.for_each_file([&](std::uint64_t number, std::int64_t) {
      const std::string path = spool + "/" + Spool::name_of(number);
      copy_file(snapshot.path_of(number), path);
      give_to(path, owner);
    });
    sync_directory(spool);
    const std::string unfinished = to + "/raincheck.db.unfinished";
    copy_file(backup + "/raincheck.db", unfinished);
    for (const std::string& path : {unfinished, spool}) give_to(path, owner);
    name_database(to, unfinished);
    return findings;
  });
}

}  // namespace raincheck::store
