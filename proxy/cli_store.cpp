// raincheck store backup, verify and restore: what looks after a store's directory.
#include <sysexits.h>

#include <iostream>
#include <stdexcept>

#include "config/load.hpp"
#include "proxy/cli.hpp"
#include "store/backup.hpp"

namespace raincheck::proxy {
namespace {

// Exit status.
int tell(const store::Findings& findings, const std::string& done) {
  for (const std::string& wrong : findings.wrong) std::cerr << "raincheck: " << wrong << "\n";
  if (!findings.wrong.empty()) return EX_DATAERR;
  const bool is_one = findings.files == 1;
  std::cout << done << ": " << findings.bytes << " bytes, " << findings.files
            << (is_one ? " body in a file of its own\n" : " bodies in files of their own\n");
  return EX_OK;
}

int status_of(store::BackupError::Kind kind) {
  switch (kind) {
    case store::BackupError::Kind::damaged:
      return EX_DATAERR;
    case store::BackupError::Kind::unreadable:
      return EX_NOINPUT;
    case store::BackupError::Kind::no_place:
      return EX_CANTCREAT;
  }
  return EX_IOERR;
}

// Exit status; why it failed is said in words.
int in_words(const std::function<int()>& step) {
  return tell_failure([&step] {
    try {
      return step();
    } catch (const store::BackupError& error) {
      throw CommandFailed(status_of(error.kind()), error.what());
    } catch (const CommandFailed&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw CommandFailed(EX_IOERR, error.what());
    }
  });
}

// Which store a command is about.
class StoreDirectory {
 public:
  explicit StoreDirectory(CLI::App& command)
      : config_(command, "-c,--config", "The configuration file, which names the store"),
        directory_(std::make_shared<std::string>()) {
    command.add_option("-s,--store", *directory_, "The store's directory, instead");
  }

  // Throws CommandFailed.
  std::string find() const {
    if (!directory_->empty()) return *directory_;
    require_readable(config_.path());
    const config::Loaded loaded = config::load(config_.path());
    if (loaded.ok) return loaded.config.store.directory;
    std::cerr << config::format(loaded);
    throw CommandFailed(EX_CONFIG, "the configuration " + config_.path() +
                                       " is wrong; --store names the store directly");
  }

 private:
  ConfigFile config_;
  std::shared_ptr<std::string> directory_;
};

// One that copies the store, or a copy into it, and says so.
using Copying = std::function<int(const std::string& store, const std::string& copy)>;

Command add_copying(CLI::App* command, std::shared_ptr<std::string> copy, Copying run) {
  const StoreDirectory directory(*command);
  return {command, [directory, copy = std::move(copy), run = std::move(run)] {
            return in_words([&] { return run(directory.find(), *copy); });
          }};
}

Command add_backup(CLI::App& group) {
  CLI::App* const command =
      group.add_subcommand("backup", "Copy the store, served or not, as of one instant");
  auto copy = std::make_shared<std::string>();
  command->add_option("to", *copy, "A directory that is missing or empty")->required();
  return add_copying(command, std::move(copy), [](const auto& store, const auto& to) {
    return tell(store::back_up(store, to), store + " is in " + to);
  });
}

Command add_verify(CLI::App& group) {
  CLI::App* const command =
      group.add_subcommand("verify", "Say what is wrong with a backup or a store");
  const auto copy = std::make_shared<std::string>();
  command->add_option("directory", *copy, "The backup's directory, or the store's")->required();
  return {command,
          [copy] { return in_words([&] { return tell(store::verify(*copy), *copy + ": ok"); }); }};
}

Command add_restore(CLI::App& group) {
  CLI::App* const command =
      group.add_subcommand("restore", "Verify a backup and put it back for serving");
  auto copy = std::make_shared<std::string>();
  command->add_option("backup", *copy, "The backup's directory")->required();
  return add_copying(command, std::move(copy), [](const auto& store, const auto& backup) {
    return tell(store::restore(backup, store), backup + " is in " + store);
  });
}

}  // namespace

std::vector<Command> add_store(CLI::App& app) {
  CLI::App* const group = app.add_subcommand("store", "Back up a store, verify it, put it back");
  group->require_subcommand(1);
  return {add_backup(*group), add_verify(*group), add_restore(*group)};
}

}  // namespace raincheck::proxy
