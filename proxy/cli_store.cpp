#include "proxy/cli_store.hpp"

#include <sysexits.h>

#include <iostream>
#include <utility>

#include "config/load.hpp"
#include "store/backup.hpp"

namespace raincheck::proxy {
namespace {

// Exit status.
int tell(const store::Findings& findings, const std::string& done) {
  for (const std::string& wrong : findings.wrong) std::cerr << "raincheck: " << wrong << "\n";
  if (!findings.wrong.empty()) return EX_DATAERR;
  std::cout << done << ": " << findings.bytes << " bytes, " << findings.files
            << " bodies in files of their own\n";
  return EX_OK;
}

template <class F>
int in_words(F&& step) {
  try {
    return step();
  } catch (const std::runtime_error& error) {
    std::cerr << "raincheck: " << error.what() << "\n";
    return EX_IOERR;
  }
}

}  // namespace

StoreCommands::StoreCommands(CLI::App& app, std::string config) : config_(std::move(config)) {
  CLI::App* const group = app.add_subcommand("store", "Back up a store, verify it, put it back");
  group->require_subcommand(1);
  backup_ = group->add_subcommand("backup", "Copy the store, served or not, as of one instant");
  backup_->add_option("to", copy_, "A directory that is missing or empty")->required();
  verify_ = group->add_subcommand("verify", "Say what is wrong with a backup or a store");
  verify_->add_option("directory", copy_, "The backup's directory, or the store's")->required();
  restore_ = group->add_subcommand("restore", "Verify a backup and put it back for serving");
  restore_->add_option("backup", copy_, "The backup's directory")->required();
  for (CLI::App* const command : {backup_, restore_}) {
    command->add_option("-c,--config", config_, "The configuration file, which names the store")
        ->envname("RAINCHECK_CONFIG")
        ->capture_default_str();
    command->add_option("-s,--store", store_, "The store's directory, instead");
  }
}

std::optional<int> StoreCommands::run() const {
  if (*verify_) {
    return in_words([this] { return tell(store::verify(copy_), copy_ + ": ok"); });
  }
  if (!*backup_ && !*restore_) return std::nullopt;
  int status = EX_OK;
  const std::optional<std::string> store = directory(status);
  if (!store) return status;
  return in_words([&] {
    if (*backup_) return tell(store::back_up(*store, copy_), *store + " is in " + copy_);
    return tell(store::restore(copy_, *store), copy_ + " is in " + *store);
  });
}

std::optional<std::string> StoreCommands::directory(int& status) const {
  if (!store_.empty()) return store_;
  const config::Loaded loaded = config::load(config_);
  if (loaded.ok) return loaded.config.store.directory;
  std::cerr << config::format(loaded);
  status = EX_CONFIG;
  return std::nullopt;
}

}  // namespace raincheck::proxy
