// Changes to a JSON document: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386). Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "routes/json.hpp"
#include "routes/json_pointer.hpp"
#include "routes/json_template.hpp"

namespace raincheck::routes {

// A patch of the configuration, ready to be applied to any number of documents.
class JsonPatch {
 public:
  JsonPatch() = default;  // changes nothing
  // As the configuration has checked them: pointers are pointers, and each operation has its parts.
  explicit JsonPatch(const std::vector<config::PatchOperation>& operations);

  bool is_empty() const { return steps_.empty(); }
  // The texts with ${...} in the values, in the order in which apply() wants what they stand for.
  std::vector<std::string> texts() const;

  // Returns nothing, or which operation cannot be carried out and why; the document is then half
  // changed and of no use. What grows beyond the limits is refused as well.
  std::string apply(Json& document,
                    std::span<const std::string> values = {},
                    const JsonLimits& limits = {}) const;

 private:
  struct Step {
    config::PatchOp op = config::PatchOp::test;
    JsonPointer path;
    JsonPointer from;
    JsonTemplate value;
    bool is_optional = false;
    std::string text;  // of the path, for messages
  };
  std::vector<Step> steps_;
};

// RFC 7386 section 2: members of `patch` that are null go, others come or change.
void merge_patch(Json& target, const Json& patch);

}  // namespace raincheck::routes
