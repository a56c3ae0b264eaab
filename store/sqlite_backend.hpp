// The embedded store: one SQLite file with its write-ahead log, and a spool beside it. Owned by the
// Store. One connection each for the writer, the reader and the maintenance thread; nothing is kept
// in memory but the lanes' counters. After a failed write or sync it applies nothing any more.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/backend.hpp"
#include "store/spool.hpp"
#include "store/sqlite_files.hpp"
#include "store/sqlite_listing.hpp"
#include "store/sqlite_log.hpp"
#include "store/sqlite_lookup.hpp"
#include "store/sqlite_writer.hpp"

namespace raincheck::store {

struct SqliteOptions {
  std::string directory;  // made (0700) when it is missing
  std::uint8_t partition = 0;
};

class SqliteBackend final : public Backend {
 public:
  // Opens or makes the store, and removes files of the spool that no row names. Throws
  // std::runtime_error, in words for the operator. `spool` must outlive it, and its Space is what
  // bounds the store.
  SqliteBackend(const SqliteOptions& options, Spool& spool);
  ~SqliteBackend() override;

  // It was a backup, which is opened for the first time.
  bool was_copied() const { return was_copied_; }

  std::vector<std::uint32_t> open_lanes(std::span<const LaneName> names) override;
  std::vector<Lane> lanes() override;
  std::vector<std::string> paused() override;
  void set_paused(const std::string& what, bool paused) override;
  std::vector<Orphan> orphans(const jobs::Place& after) override;
  jobs::IdCodec::Secret secret() override { return secret_; }

  jobs::Result<void> apply(std::span<Command* const> batch) override;
  jobs::Result<void> find(std::span<Find* const> batch) override;
  jobs::Result<void> list(List& command) override;
  void checkpoint() override;
  bool checkpoint_due() const override;
  std::uint64_t bytes() const override;

 private:
  struct Reader;

  void open();
  void create();
  void settle_copy();
  std::uint64_t raise_epoch();
  void read_secret();
  void remove_orphans();
  template <class F>
  auto change(F make);
  void measure();
  void vacuum(std::span<Command* const> batch);
  void find_one(Find& command);
  jobs::Error roll_back(const SqliteError& error, std::span<Command* const> batch);
  jobs::Error fail(const std::string& why);

  SqliteOptions options_;
  Spool& spool_;
  SqliteFiles files_;
  jobs::IdCodec::Secret secret_{};
  bool was_copied_ = false;
  std::atomic<bool> failed_{false};

  std::unique_ptr<SqliteConnection> connection_;  // the writer's
  std::unique_ptr<SqliteLog> log_;
  std::unique_ptr<SqliteWriter> writer_;
  std::unique_ptr<SqliteStatement> commit_;
  std::unique_ptr<SqliteStatement> page_count_;
  std::unique_ptr<SqliteStatement> free_count_;
  std::unique_ptr<SqliteStatement> vacuum_;
  std::uint64_t pages_ = 0;       // of the database
  std::uint64_t free_pages_ = 0;  // of these, on the free list
  std::unique_ptr<Reader> reader_;
  std::mutex listing_mutex_;
  std::unique_ptr<SqliteListing> listing_;  // made when it is asked; guarded by listing_mutex_
};

}  // namespace raincheck::store
