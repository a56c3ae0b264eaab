// What authorization services have allowed lately, on one shard: the fields that go onto the call,
// under a keyed hash of the question. Credentials are in neither. Bounded; the oldest goes first.
// Never asks anybody, and never remembers a refusal.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "jobs/clock.hpp"

namespace raincheck::proxy {

class AuthCache {
 public:
  static constexpr std::size_t entries_max = 4'096;
  static constexpr std::size_t copied_max = 4 * 1024;  // an answer that brings more is not kept

  using Key = std::array<std::uint8_t, 32>;

  // With a secret of its own, so that nobody can tell the key of a question.
  AuthCache();

  // `question` is what decides the answer: routes::auth_question_core().
  Key key_of(std::string_view route, std::string_view question) const;

  // The copied field lines, until the next call; null: it has to be asked.
  const std::string* find(const Key& key, jobs::TimePoint now);
  void put(const Key& key, std::string_view copied, jobs::TimePoint now, jobs::TimePoint until);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Key key;
    std::string copied;
    jobs::TimePoint until;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  void erase(std::list<Entry>::iterator entry);

  std::array<std::uint8_t, 32> secret_{};
  std::list<Entry> entries_;  // the oldest first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> by_key_;
};

}  // namespace raincheck::proxy
