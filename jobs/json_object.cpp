#include "jobs/json_object.hpp"

#include "jobs/date.hpp"
#include "jobs/text.hpp"

namespace raincheck::jobs {

void JsonObject::member(std::string_view name) {
  if (!is_first_) out_ += ',';
  is_first_ = false;
  out_.append("\"").append(name).append("\":");
}

void JsonObject::text(std::string_view name, std::string_view value) {
  member(name);
  append_json_string(out_, value);
}

void JsonObject::number(std::string_view name, std::uint64_t value) {
  member(name);
  append_number(out_, value);
}

void JsonObject::boolean(std::string_view name, bool value) {
  member(name);
  out_ += value ? "true" : "false";
}

void JsonObject::time(std::string_view name, WallTime value) {
  member(name);
  out_ += '"';
  append_time(out_, value);
  out_ += '"';
}

void JsonObject::text_if_set(std::string_view name, std::string_view value) {
  if (!value.empty()) text(name, value);
}

void JsonObject::time_if_set(std::string_view name, WallTime value) {
  if (value != WallTime{}) time(name, value);
}

}  // namespace raincheck::jobs
