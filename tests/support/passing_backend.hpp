// A backend of the store that hands everything on to another one; tests override what they want to
// watch or break. FullBackend refuses to write while the test says so. Threads as for any backend.
#pragma once

#include <memory>

#include "store/backend.hpp"

namespace raincheck::test {

class PassingBackend : public store::Backend {
 public:
  explicit PassingBackend(std::unique_ptr<store::Backend> to) : to_(std::move(to)) {}

  std::vector<std::uint32_t> open_lanes(std::span<const store::LaneName> names) override {
    return to_->open_lanes(names);
  }
  std::vector<store::Lane> lanes() override { return to_->lanes(); }
  std::vector<std::string> paused() override { return to_->paused(); }
  void set_paused(const std::string& what, bool paused) override { to_->set_paused(what, paused); }
  std::vector<Orphan> orphans(const jobs::Place& after) override { return to_->orphans(after); }
  jobs::IdCodec::Secret secret() override { return to_->secret(); }
  jobs::Result<void> apply(std::span<store::Command* const> batch) override {
    return to_->apply(batch);
  }
  jobs::Result<void> find(std::span<store::Find* const> batch) override { return to_->find(batch); }
  jobs::Result<void> list(store::List& command) override { return to_->list(command); }
  void checkpoint() override { to_->checkpoint(); }
  bool checkpoint_due() const override { return to_->checkpoint_due(); }
  std::uint64_t bytes() const override { return to_->bytes(); }

 private:
  std::unique_ptr<store::Backend> to_;
};

class FullBackend final : public PassingBackend {
 public:
  // `full` is the test's, and outlives this.
  FullBackend(std::unique_ptr<store::Backend> to, const bool& full)
      : PassingBackend(std::move(to)), full_(full) {}

  jobs::Result<void> apply(std::span<store::Command* const> batch) override {
    if (full_) return jobs::Error(jobs::Fault::store_full, "no space left");
    return PassingBackend::apply(batch);
  }

 private:
  const bool& full_;
};

}  // namespace raincheck::test
