// The fields of a message, and the one way to put a name and a value into a head. What is read from
// a message is a view into the caller's buffer and is valid until that is reused or moved. Used by
// one thread at a time; never does I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/text.hpp"

namespace raincheck::routes {

struct Field {
  std::string_view name;   // a token
  std::string_view value;  // without the whitespace around it
};

// A field name or a method (RFC 9110 section 5.6.2).
bool is_token(std::string_view text);
// No control character but the tab, so neither a line end nor a NUL.
bool is_field_value(std::string_view text);

// Field names compare without regard to case.
inline bool is_same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && jobs::equals_ignoring_case(a, b);
}

// One field line in the making, at the end of a head: what is added is checked when it is finished,
// and taken back if it may not stand there. Nothing else writes fields, so that no name and no
// value can break out of its line.
class FieldLine {
 public:
  FieldLine(std::string& out, std::string_view name);

  bool is_empty() const { return out_.size() == value_; }
  void add(std::string_view text);
  void add_element(std::string_view element);  // of a comma-separated list
  bool finish();                               // false: nothing was written
  bool finish_unless_empty();

 private:
  std::string& out_;
  std::size_t begin_;
  std::size_t value_ = 0;
  bool is_good_ = false;
};

// Writes a whole field. False, and nothing is written, if name or value is not allowed; whitespace
// around the value is dropped, as a reader would.
[[nodiscard]] bool append_field(std::string& out, std::string_view name, std::string_view value);

// The fields of one message, in their order. Keeps its memory from message to message.
class Fields {
 public:
  Fields() = default;

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  const Field& operator[](std::size_t i) const { return fields_[i]; }
  void push_back(Field field) { fields_.push_back(field); }
  void clear();

  // Takes the lines that append_field() wrote, and writes them by it.
  void assign(std::string_view lines);
  void append_to(std::string& out) const;
  // Calls f(field) for each field, which it may change.
  template <class F>
  void for_each_field(const F& f) {
    for (Field& field : fields_) f(field);
  }
  // Removes the fields for which f(field) is true.
  template <class F>
  void erase_if(const F& f) {
    std::erase_if(fields_, f);
  }

  // The value of the first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // Calls f(value) for each field of that name, in order.
  template <class F>
  void for_each(std::string_view name, F&& f) const {
    for (const Field& field : fields_) {
      if (is_same_name(field.name, name)) f(field.value);
    }
  }
  // Calls f(element) for each element of the comma-separated lists in all fields of that name;
  // empty ones are skipped.
  template <class F>
  void for_each_element(std::string_view name, F&& f) const;

 private:
  std::vector<Field> fields_;
};

// Takes the first element off a comma-separated list; empty for an empty element and at the end of
// the list.
std::string_view take_element(std::string_view& list);

template <class F>
void Fields::for_each_element(std::string_view name, F&& f) const {
  for_each(name, [&f](std::string_view list) {
    while (!list.empty()) {
      const std::string_view element = take_element(list);
      if (!element.empty()) f(element);
    }
  });
}

}  // namespace raincheck::routes
