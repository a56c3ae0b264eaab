// What surrounds the proxy in a simulation: its configuration, the rules that the model holds it
// to, and the backends with their moods. One thread.
#pragma once

#include <cstdint>
#include <random>

#include "config/config.hpp"
#include "tests/simulation/model.hpp"
#include "tests/simulation/watched_backend.hpp"

namespace raincheck::simulation {

// The seed's dice. The same on every machine, which the standard's distributions are not.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t end) { return engine_() % end; }
  bool one_in(std::size_t chances) { return below(chances) == 0; }
  jobs::milliseconds up_to(jobs::milliseconds max) {
    return jobs::milliseconds(below(static_cast<std::size_t>(max.count()) + 1));
  }
  template <class T, std::size_t size>
  const T& one_of(const T (&values)[size]) {
    return values[below(size)];
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

config::Config make_config(Sabotage sabotage);
Rules make_rules(bool even_wall_clock);

// How backends are at the moment.
enum class Mood { healthy, flaky, down, busy, slow };
test::Script draw_script(Mood mood, const std::string& target, Dice& dice);

// The backend of one upstream, as one process meets it.
class WatchedPeer final : public test::ScriptedPeer {
 public:
  WatchedPeer(Model& model, std::size_t upstream) : model_(&model), upstream_(upstream) {}

  // The process has ended.
  void mute() { model_ = nullptr; }

  void begun(const test::ScriptedCall& call) override {
    if (model_) model_->begun(upstream_, call);
  }
  void ended(const test::ScriptedCall& call) override {
    if (model_) model_->ended(upstream_, call);
  }

 private:
  Model* model_;
  const std::size_t upstream_;
};

}  // namespace raincheck::simulation
