// The files of one JSON Schema while it is compiled: what each $ref means. URLs are names here and
// never fetched. Lives for one compilation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "routes/json_schema.hpp"

namespace raincheck::routes {

// Where a value of a schema stands.
struct SchemaPlace {
  std::string file;
  std::string pointer;
  std::string base;  // the URI that references within it are relative to
};

class SchemaDocuments {
 public:
  SchemaDocuments(const JsonSchema::ReadFile& read, std::vector<SchemaError>& errors)
      : read_(read), errors_(errors) {}

  // The value of a file; null, and an error at `from`, if it cannot be used.
  const Json* open(const std::string& file, const SchemaPlace& from);
  // What a $ref at a place refers to; null, and an error, if that is nothing.
  const Json* resolve(std::string_view reference, const SchemaPlace& from);

  const SchemaPlace& place(const Json& value) const { return places_.at(&value); }
  void refuse(const SchemaPlace& place, std::string_view below, std::string message);

 private:
  void index(const Json& value, const SchemaPlace& from, bool is_map);

  const JsonSchema::ReadFile& read_;
  std::vector<SchemaError>& errors_;
  std::map<std::string, std::unique_ptr<const Json>> files_;  // null: it cannot be used
  std::map<std::string, const Json*> names_;                  // by URI, some with a fragment
  std::unordered_map<const Json*, SchemaPlace> places_;
};

// RFC 3986 section 5.2, without queries. `base` is a URI or the path of a file.
std::string resolve_reference(std::string_view base, std::string_view reference);

}  // namespace raincheck::routes
