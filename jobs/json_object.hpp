// Writes a JSON object member by member into a string of the caller's. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::jobs {

class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;
  ~JsonObject() { out_ += '}'; }

  // Names are ours: nothing in them has to be escaped. The caller writes the value.
  void member(std::string_view name);
  void text(std::string_view name, std::string_view value);
  void number(std::string_view name, std::uint64_t value);
  void boolean(std::string_view name, bool value);
  void time(std::string_view name, WallTime value);
  // Nothing is written of an empty text, and of the epoch.
  void text_if_set(std::string_view name, std::string_view value);
  void time_if_set(std::string_view name, WallTime value);

 private:
  std::string& out_;
  bool is_first_ = true;
};

}  // namespace raincheck::jobs
