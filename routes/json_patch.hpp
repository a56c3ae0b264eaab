// Changes to a JSON document: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "routes/json.hpp"
#include "routes/json_pointer.hpp"
#include "routes/json_template.hpp"

namespace raincheck::routes {

// The rules of a route that one request gives no values for, each with why.
struct Unapplied {
  std::vector<std::string> reasons;  // "json_patch[0]: the request has no '${header.X}'"
  bool is_unreadable = false;        // one of them is a secret that cannot be read now

  void add(const std::string& rule, const Rendering& rendering);
};

// A patch of the configuration, ready to be applied to any number of documents.
class JsonPatch {
 public:
  // What the operations put in for one request, one for each. Nothing: the request has no value for
  // it, and it is passed over; but a test without a value fails, for what it guards must not
  // happen.
  using Rendered = std::vector<std::optional<Json>>;

  JsonPatch() = default;  // changes nothing
  // As the configuration has checked them: pointers are pointers, and each operation has its parts.
  // `setting` is the name of the patch within its route.
  static JsonPatch compile(const std::vector<config::PatchOperation>& operations,
                           const std::string& setting,
                           const Scope& scope,
                           std::vector<RuleProblem>& problems);

  bool is_empty() const { return steps_.empty(); }

  Rendered render(const Values& values, Unapplied& unapplied) const;

  // Returns nothing, or which operation cannot be carried out and why; the document is then half
  // changed and of no use. What grows beyond the limits is refused as well.
  std::string apply(Json& document, const Rendered& rendered, const JsonLimits& limits = {}) const;

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
