// What the parsers have understood of a request's or response's head. Everything is a view into the
// caller's buffer and is valid until that is reused or moved; nothing here owns bytes of a message.
// Used by one shard at a time; never does I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/text.hpp"

namespace raincheck::proxy {

struct Field {
  std::string_view name;   // a token
  std::string_view value;  // without the whitespace around it
};

// How the end of a body is found (RFC 9112 section 6.3).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

// Field names compare without regard to case.
inline bool is_same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && jobs::equals_ignoring_case(a, b);
}

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

struct RequestHead {
  std::string_view method;
  std::string_view target;  // path and query as received, or "*"; absolute-form is reduced to this
  std::string_view
      authority;  // host[:port], of an absolute-form target, else of Host; HTTP/1.0 may have none
  int minor_version = 1;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  // with Framing::length
  bool keep_alive = false;           // the client would send another request
  bool expect_continue = false;      // the client waits for a 100 before it sends its body
  std::string_view upgrade;  // the protocol that is lawfully asked for, never h2c; empty: none
};

struct ResponseHead {
  int minor_version = 1;
  int status = 0;
  std::string_view reason;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;                        // with Framing::length
  bool keep_alive = false;                                 // the backend would take another request
  std::optional<std::chrono::seconds> keep_alive_timeout;  // Keep-Alive: timeout=N
  std::string_view upgrade;                                // of a 101
};

}  // namespace raincheck::proxy
