// A JSON value of the configuration whose strings may hold ${...}. What is put in always stays
// inside of its string, so that no request can change the structure. Immutable; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "routes/json.hpp"

namespace raincheck::routes {

class JsonTemplate {
 public:
  JsonTemplate() = default;  // null
  // `json` is JSON; what is none is null: the reader of the configuration wrote it.
  explicit JsonTemplate(std::string_view json);

  // The strings with ${...} in them, in the order in which render() wants their values.
  const std::vector<std::string>& texts() const { return texts_; }
  // One value for each of texts().
  Json render(std::span<const std::string> values) const;

 private:
  Json json_;
  std::vector<std::string> texts_;
};

bool has_placeholder(std::string_view text);

}  // namespace raincheck::routes
