#include "tests/store/faulty_vfs.hpp"

#include <cstring>
#include <utility>

namespace raincheck::store {
namespace {

struct Plan {
  int left = -1;  // operations before the first that fails; -1: none fails
  int code = SQLITE_OK;
  bool failed = false;

  int next() {
    if (left < 0) return SQLITE_OK;
    if (left > 0) {
      --left;
      return SQLITE_OK;
    }
    failed = true;
    return code;
  }
};

Plan writes;
Plan syncs;
std::function<void()> before_sync;
sqlite3_vfs* real = nullptr;
sqlite3_vfs faulty;

struct File {
  sqlite3_file base;
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_file* inner(sqlite3_file* file) {
  return reinterpret_cast<File*>(file)->inner();
}

int file_write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const int code = writes.next();
  if (code == SQLITE_OK) return inner(file)->pMethods->xWrite(inner(file), data, size, offset);
  // Half of it goes in, as on a disk that fills up.
  inner(file)->pMethods->xWrite(inner(file), data, size / 2, offset);
  return code;
}

int file_sync(sqlite3_file* file, int flags) {
  if (before_sync) {
    const std::function<void()> call = std::exchange(before_sync, nullptr);
    call();
    before_sync = call;
  }
  const int code = syncs.next();
  return code == SQLITE_OK ? inner(file)->pMethods->xSync(inner(file), flags) : code;
}

// The other methods only go on to the real file.
const sqlite3_io_methods methods = {
    3,
    [](sqlite3_file* f) { return inner(f)->pMethods->xClose(inner(f)); },
    [](sqlite3_file* f, void* data, int size, sqlite3_int64 offset) {
      return inner(f)->pMethods->xRead(inner(f), data, size, offset);
    },
    file_write,
    [](sqlite3_file* f, sqlite3_int64 size) {
      return inner(f)->pMethods->xTruncate(inner(f), size);
    },
    file_sync,
    [](sqlite3_file* f, sqlite3_int64* size) {
      return inner(f)->pMethods->xFileSize(inner(f), size);
    },
    [](sqlite3_file* f, int lock) { return inner(f)->pMethods->xLock(inner(f), lock); },
    [](sqlite3_file* f, int lock) { return inner(f)->pMethods->xUnlock(inner(f), lock); },
    [](sqlite3_file* f, int* out) { return inner(f)->pMethods->xCheckReservedLock(inner(f), out); },
    [](sqlite3_file* f, int operation, void* argument) {
      return inner(f)->pMethods->xFileControl(inner(f), operation, argument);
    },
    [](sqlite3_file* f) { return inner(f)->pMethods->xSectorSize(inner(f)); },
    [](sqlite3_file* f) { return inner(f)->pMethods->xDeviceCharacteristics(inner(f)); },
    [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return inner(f)->pMethods->xShmMap(inner(f), page, size, extend, out);
    },
    [](sqlite3_file* f, int offset, int n, int flags) {
      return inner(f)->pMethods->xShmLock(inner(f), offset, n, flags);
    },
    [](sqlite3_file* f) { inner(f)->pMethods->xShmBarrier(inner(f)); },
    [](sqlite3_file* f, int remove) { return inner(f)->pMethods->xShmUnmap(inner(f), remove); },
    [](sqlite3_file* f, sqlite3_int64 offset, int size, void** out) {
      return inner(f)->pMethods->xFetch(inner(f), offset, size, out);
    },
    [](sqlite3_file* f, sqlite3_int64 offset, void* page) {
      return inner(f)->pMethods->xUnfetch(inner(f), offset, page);
    },
};

int file_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  const int code = real->xOpen(real, name, inner(file), flags, out_flags);
  if (code == SQLITE_OK) file->pMethods = &methods;
  return code;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  heal();
  real = sqlite3_vfs_find(nullptr);
  faulty = *real;
  faulty.zName = "faulty";
  faulty.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  faulty.xOpen = file_open;
  sqlite3_vfs_register(&faulty, 1);
}

FaultyVfs::~FaultyVfs() {
  heal();
  sqlite3_vfs_unregister(&faulty);
  sqlite3_vfs_register(real, 1);
}

void FaultyVfs::fail_writes(int after, int code) {
  writes = Plan{after, code, false};
}

void FaultyVfs::fail_syncs(int after, int code) {
  syncs = Plan{after, code, false};
}

void FaultyVfs::on_sync(std::function<void()> call) {
  before_sync = std::move(call);
}

void FaultyVfs::heal() {
  before_sync = nullptr;
  writes = Plan();
  syncs = Plan();
}

bool FaultyVfs::has_failed() const {
  return writes.failed || syncs.failed;
}

}  // namespace raincheck::store
