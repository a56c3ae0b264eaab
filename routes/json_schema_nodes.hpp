// A compiled JSON Schema: what the compiler writes and the validator reads. Nodes refer to each
// other by index, so that a schema may refer to itself. Owned by JsonSchema.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "routes/decimal.hpp"
#include "routes/json.hpp"
#include "routes/json_format.hpp"

namespace raincheck::routes {

using NodeIndex = std::int32_t;
constexpr NodeIndex no_node = -1;

struct SchemaDependency {
  std::string name;
  std::vector<std::string> required;
  NodeIndex node = no_node;
};

// One schema. Everything unset accepts everything.
struct SchemaNode {
  bool is_false = false;
  std::uint8_t types = 0;  // bits of SchemaTypes; 0: any
  NodeIndex ref = no_node;

  std::vector<std::string> choices;  // enum and const, canonical
  std::string choices_text;          // for messages

  std::optional<Decimal> minimum, maximum, above, below, multiple_of;
  std::string minimum_text, maximum_text, above_text, below_text, multiple_text;

  std::optional<std::size_t> length_min, length_max, items_min, items_max, members_min, members_max;
  std::shared_ptr<const RE2> pattern;
  std::optional<JsonFormat> format;

  NodeIndex items = no_node;
  std::vector<NodeIndex> tuple;
  NodeIndex items_beyond_tuple = no_node;
  NodeIndex contains = no_node;
  bool is_unique = false;

  std::vector<std::string> required;
  std::vector<std::pair<std::string, NodeIndex>> members;  // by name, sorted
  std::vector<std::pair<std::shared_ptr<const RE2>, NodeIndex>> member_patterns;
  NodeIndex other_members = no_node;
  NodeIndex member_names = no_node;
  std::vector<SchemaDependency> dependencies;

  std::vector<NodeIndex> all_of, any_of, one_of;
  NodeIndex not_this = no_node;
  NodeIndex condition = no_node, consequence = no_node, alternative = no_node;
};

// The bits of SchemaNode::types.
enum SchemaTypes : std::uint8_t {
  type_null = 1,
  type_boolean = 2,
  type_integer = 4,
  type_number = 8,  // whole or not
  type_string = 16,
  type_array = 32,
  type_object = 64,
};

struct SchemaNodes {
  std::vector<SchemaNode> nodes;
  NodeIndex root = no_node;
};

std::vector<std::pair<const char*, SchemaTypes>> schema_type_words();

}  // namespace raincheck::routes
