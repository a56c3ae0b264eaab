// A backend that remembers what it was asked and answers as told. For tests of the store's front.
#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <vector>

#include "store/backend.hpp"

namespace raincheck::store {

class ScriptedBackend final : public Backend {
 public:
  // The first random byte of each Insert, batch by batch.
  std::vector<std::vector<int>> batches;
  std::vector<std::size_t> find_batches;
  // What the next batch is answered; spent by it.
  std::optional<jobs::Fault> fault;
  // Jobs, by their first random byte, that cannot be read, and ones that are refused.
  std::set<int> damaged;
  std::set<int> refused;
  std::atomic<bool> due{false};
  std::atomic<int> checkpoints{0};

  std::vector<std::uint32_t> open_lanes(std::span<const LaneName>) override { return {}; }
  std::vector<Lane> lanes() override { return {}; }
  std::vector<std::string> paused() override { return {}; }
  void set_paused(const std::string&, bool) override {}
  std::vector<Orphan> orphans(const jobs::Place&) override { return {}; }
  jobs::IdCodec::Secret secret() override { return {}; }

  jobs::Result<void> apply(std::span<Command* const> batch) override {
    std::vector<int>& marks = batches.emplace_back();
    for (Command* command : batch) {
      if (Insert* insert = std::get_if<Insert>(command)) {
        marks.push_back(insert->job.random[0]);
        insert->id.place.sequence = ++sequence_;
        insert->refused = refused.contains(insert->job.random[0]);
      }
    }
    if (!fault) return {};
    const jobs::Error error(*fault, "as told");
    fault.reset();
    return error;
  }

  jobs::Result<void> find(std::span<Find* const> batch) override {
    find_batches.push_back(batch.size());
    for (Find* each : batch) {
      if (damaged.contains(each->id.random[0])) {
        return jobs::Error(jobs::Fault::internal, "damaged");
      }
      each->presence = Presence::present;
    }
    return {};
  }

  jobs::Result<void> list(List&) override { return {}; }
  void checkpoint() override {
    due = false;
    ++checkpoints;
    checkpoints.notify_all();
  }
  bool checkpoint_due() const override { return due; }
  std::uint64_t bytes() const override { return 0; }

 private:
  std::uint64_t sequence_ = 0;
};

}  // namespace raincheck::store
