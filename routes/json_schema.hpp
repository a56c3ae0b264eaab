// JSON Schema (draft 7, and draft 6 where they agree), compiled when the configuration is loaded.
// Not valijson, for what it validates comes from strangers: it matches patterns with std::regex,
// which recurses once for each character and can take exponential time, and compares all items with
// each other. Here patterns are RE2's, numbers are exact, and the work for one document is bounded.
// Immutable; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routes/json.hpp"

namespace raincheck::routes {

// What is wrong with a document.
struct SchemaProblem {
  std::string pointer;  // of the value (RFC 6901)
  std::string message;  // a clause such as "must be a string"
};

// Why a schema cannot be used.
struct SchemaError {
  std::string file;
  std::string pointer;  // into the file
  std::string message;

  std::string text() const;  // "file#/pointer: message"
};

struct SchemaNodes;

class JsonSchema {
 public:
  static constexpr std::size_t problems_max = 100;  // that are told
  static constexpr std::size_t steps_max = 1'000'000;
  static constexpr std::size_t files_max = 100;

  using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

  // Reads the schema at `path`, and the files that its $refs name, relative to the file that they
  // stand in. Nothing is ever fetched: other URLs are an error. All errors are found; with any, the
  // schema must not be used.
  static JsonSchema compile(const std::string& path,
                            const ReadFile& read,
                            std::vector<SchemaError>& errors);

  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

  // All problems, in the order of the document as far as the schema has one; empty: it is valid.
  std::vector<SchemaProblem> validate(const Json& document) const;

 private:
  explicit JsonSchema(std::unique_ptr<SchemaNodes> nodes);

  std::unique_ptr<SchemaNodes> nodes_;
};

}  // namespace raincheck::routes
