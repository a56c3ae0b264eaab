// The store's backend in a simulation: it tells the model what became durable, fails when the
// simulation says so, and can be sabotaged, so that the model shows that it sees. One thread.
#pragma once

#include <optional>
#include <random>
#include <utility>

#include "tests/simulation/model.hpp"
#include "tests/support/passing_backend.hpp"

namespace raincheck::simulation {

// One promise broken on purpose.
enum class Sabotage {
  none,
  resend_unsafe,    // a route says that its calls may be sent again; the model knows better
  requeue_orphans,  // calls that were under way at a crash are sent again, whatever they are
  lose_commits,     // a crash loses what was committed last
  ignore_keys,      // every submission is a new job
  overbook,         // one call more at once than is allowed
  prune_early,      // results are erased an hour before their time
  forget_monitors,  // where a backend tells of a call is not known after a crash
  forge_results,    // a stored answer is not what the backend said
  forget_pauses,    // jobs of a paused route begin
};

class WatchedBackend final : public test::PassingBackend {
 public:
  // What the simulation decides.
  struct Faults {
    bool full = false;        // nothing can be written now
    bool fails_now = false;   // the next batch fails, and all after it
    bool fails_late = false;  // ... and that next one is durable in spite of it
  };

  WatchedBackend(std::unique_ptr<store::Backend> to,
                 Model& model,
                 const Faults& faults,
                 Sabotage sabotage,
                 std::mt19937_64& random)
      : PassingBackend(std::move(to)),
        model_(&model),
        faults_(faults),
        sabotage_(sabotage),
        random_(random) {}

  // The process has ended; what is still done here is nobody's.
  void mute() { model_ = nullptr; }
  bool refused() { return std::exchange(refused_, false); }

  std::vector<Orphan> orphans(const jobs::Place& after) override {
    std::vector<Orphan> orphans = PassingBackend::orphans(after);
    if (sabotage_ == Sabotage::requeue_orphans) {
      for (Orphan& orphan : orphans) orphan.job.may_resend = true;
    }
    if (sabotage_ == Sabotage::forget_monitors) {
      for (Orphan& orphan : orphans) orphan.job.monitor.clear();
    }
    return orphans;
  }

  jobs::Result<void> apply(std::span<store::Command* const> batch) override {
    if (!model_) return PassingBackend::apply(batch);
    if (failed_) return jobs::Error(jobs::Fault::store_failed, "failed earlier");
    if (faults_.full) {
      refused_ = true;
      return jobs::Error(jobs::Fault::store_full, "no space left");
    }
    failed_ = faults_.fails_now || faults_.fails_late;
    if (faults_.fails_now) return jobs::Error(jobs::Fault::store_failed, "a sync failed");
    for (store::Command* command : batch) prepare(*command);
    const jobs::Result<void> applied = PassingBackend::apply(batch);
    for (store::Command* command : batch) cover_up(*command);
    if (applied) model_->committed(batch);
    if (failed_) return jobs::Error(jobs::Fault::store_failed, "a sync failed");
    return applied;
  }

 private:
  void prepare(store::Command& command) {
    if (auto* const insert = std::get_if<store::Insert>(&command)) {
      // Dice of the seed's, so that backoffs are the same in a replay.
      for (std::uint8_t& byte : insert->job.random) byte = static_cast<std::uint8_t>(random_());
      if (sabotage_ == Sabotage::ignore_keys) insert->job.key.reset();
    } else if (auto* const prune = std::get_if<store::Prune>(&command)) {
      if (sabotage_ == Sabotage::prune_early) prune->now += std::chrono::hours(1);
    } else if (auto* const finish = std::get_if<store::Finish>(&command)) {
      if (sabotage_ == Sabotage::forge_results) finish->response.head += "X-Forged: 1\r\n";
    }
  }

  // The model hears of what was asked for.
  void cover_up(store::Command& command) const {
    if (auto* const prune = std::get_if<store::Prune>(&command)) {
      if (sabotage_ == Sabotage::prune_early) prune->now -= std::chrono::hours(1);
    } else if (auto* const finish = std::get_if<store::Finish>(&command)) {
      if (sabotage_ == Sabotage::forge_results) {
        finish->response.head.erase(finish->response.head.find("X-Forged"));
      }
    }
  }

  Model* model_;
  const Faults& faults_;
  const Sabotage sabotage_;
  std::mt19937_64& random_;
  bool failed_ = false;
  bool refused_ = false;
};

}  // namespace raincheck::simulation
