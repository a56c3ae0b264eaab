#include <algorithm>

#include "routes/json_pointer.hpp"
#include "routes/json_schema.hpp"
#include "routes/json_schema_nodes.hpp"

namespace raincheck::routes {
namespace {

using Kind = Json::Kind;

// The way to a value, as a list on the stack: written out only when there is a problem.
struct Path {
  const Path* parent = nullptr;
  const std::string* member = nullptr;
  std::size_t item = 0;
};

void append_path(std::string& out, const Path& path) {
  if (path.parent == nullptr) return;
  append_path(out, *path.parent);
  append_pointer_token(out, path.member != nullptr ? *path.member : std::to_string(path.item));
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string quoted(const std::string& text) {
  return "'" + text.substr(0, 100) + "'";
}

std::string list_of_types(std::uint8_t types) {
  std::string out;
  for (const auto& [word, bit] : schema_type_words()) {
    if ((types & bit) != 0) out += (out.empty() ? "" : " or ") + std::string(word);
  }
  return out;
}

bool is_plain_integer(std::string_view number) {
  return number.find_first_of(".eE") == number.npos;
}

std::uint8_t types_of(const Json& json) {
  switch (json.kind) {
    case Kind::null:
      return type_null;
    case Kind::boolean:
      return type_boolean;
    case Kind::number:
      return is_plain_integer(json.text) || Decimal(json.text).is_integer()
                 ? type_integer | type_number
                 : type_number;
    case Kind::string:
      return type_string;
    case Kind::array:
      return type_array;
    case Kind::object:
      return type_object;
  }
  return 0;
}

class SchemaValidator {
 public:
  explicit SchemaValidator(const SchemaNodes& nodes) : nodes_(nodes) {}

  std::vector<SchemaProblem> run(const Json& document) {
    check(nodes_.root, document, Path{});
    if (steps_left_ == 0) problems_.push_back({"", "is too complex to be checked"});
    return std::move(problems_);
  }

 private:
  // What a schema finds wrong is told, unless only its answer counts.
  bool check(NodeIndex index, const Json& json, const Path& path) {
    if (index == no_node) return true;
    if (steps_left_ == 0) return false;
    spend(1);
    const SchemaNode& node = nodes_.nodes[static_cast<std::size_t>(index)];
    if (node.is_false) return tell(path, "is not allowed");
    bool is_valid = check(node.ref, json, path);
    is_valid &= check_any(node, json, path);
    switch (json.kind) {
      case Kind::null:
      case Kind::boolean:
        break;
      case Kind::number:
        is_valid &= check_number(node, json, path);
        break;
      case Kind::string:
        is_valid &= check_string(node, json, path);
        break;
      case Kind::array:
        is_valid &= check_array(node, json, path);
        break;
      case Kind::object:
        is_valid &= check_object(node, json, path);
        break;
    }
    return is_valid & check_logic(node, json, path);
  }

  void spend(std::size_t steps) { steps_left_ -= std::min(steps, steps_left_); }

  bool accepts(NodeIndex index, const Json& json, const Path& path) {
    ++silent_;
    const bool is_valid = check(index, json, path);
    --silent_;
    return is_valid;
  }

  bool tell(const Path& path, std::string_view message) {
    if (silent_ == 0 && problems_.size() < JsonSchema::problems_max) {
      SchemaProblem& problem = problems_.emplace_back();
      append_path(problem.pointer, path);
      problem.message = message;
    }
    return false;
  }

  bool check_any(const SchemaNode& node, const Json& json, const Path& path) {
    if (node.types != 0 && (node.types & types_of(json)) == 0) {
      return tell(path, "must be of type " + list_of_types(node.types));
    }
    if (node.choices.empty()) return true;
    spend(count_values(json));
    const std::string value = canonical(json);
    if (std::find(node.choices.begin(), node.choices.end(), value) != node.choices.end()) {
      return true;
    }
    return tell(path, node.choices.size() == 1 ? "must be " + node.choices_text
                                               : "must be one of " + node.choices_text);
  }

  bool check_number(const SchemaNode& node, const Json& json, const Path& path) {
    if (!node.minimum && !node.maximum && !node.above && !node.below && !node.multiple_of) {
      return true;
    }
    const Decimal value(json.text);
    bool is_valid = true;
    if (node.minimum && value < *node.minimum) {
      is_valid = tell(path, "must be at least " + node.minimum_text);
    }
    if (node.maximum && value > *node.maximum) {
      is_valid = tell(path, "must be at most " + node.maximum_text);
    }
    if (node.above && value <= *node.above) {
      is_valid = tell(path, "must be greater than " + node.above_text);
    }
    if (node.below && value >= *node.below) {
      is_valid = tell(path, "must be less than " + node.below_text);
    }
    if (node.multiple_of && !value.is_multiple_of(*node.multiple_of)) {
      is_valid = tell(path, "must be a multiple of " + node.multiple_text);
    }
    return is_valid;
  }

  bool check_string(const SchemaNode& node, const Json& json, const Path& path) {
    bool is_valid = true;
    if (node.length_min || node.length_max) {
      is_valid = check_count(count_characters(json.text), node.length_min, node.length_max,
                             "characters", path);
    }
    if (node.pattern && !RE2::PartialMatch(json.text, *node.pattern)) {
      is_valid = tell(path, "must match the pattern " + node.pattern->pattern());
    }
    if (node.format && !has_format(json.text, *node.format)) {
      is_valid = tell(path, std::string("must have the format ") + name(*node.format));
    }
    return is_valid;
  }

  bool check_count(std::size_t count,
                   const std::optional<std::size_t>& min,
                   const std::optional<std::size_t>& max,
                   const char* what,
                   const Path& path) {
    if (min && count < *min) {
      return tell(path, "must have at least " + std::to_string(*min) + " " + what);
    }
    if (max && count > *max) {
      return tell(path, "must have at most " + std::to_string(*max) + " " + what);
    }
    return true;
  }

  bool check_array(const SchemaNode& node, const Json& json, const Path& path) {
    bool is_valid = check_count(json.items.size(), node.items_min, node.items_max, "items", path);
    const bool has_items =
        node.items != no_node || !node.tuple.empty() || node.items_beyond_tuple != no_node;
    for (std::size_t i = 0; has_items && i < json.items.size(); ++i) {
      const NodeIndex item = i < node.tuple.size() ? node.tuple[i]
                             : node.tuple.empty()  ? node.items
                                                   : node.items_beyond_tuple;
      is_valid &= check(item, json.items[i], Path{&path, nullptr, i});
    }
    if (node.contains != no_node) {
      const bool is_found =
          std::any_of(json.items.begin(), json.items.end(),
                      [&](const Json& item) { return accepts(node.contains, item, path); });
      if (!is_found)
        is_valid = tell(path, "must hold an item of the kind that 'contains' asks for");
    }
    if (!node.is_unique) return is_valid;
    spend(count_values(json));
    return has_unique_items(json) ? is_valid : tell(path, "must not hold the same item twice");
  }

  static bool has_unique_items(const Json& json) {
    std::vector<std::string> items;
    items.reserve(json.items.size());
    for (const Json& item : json.items) items.push_back(canonical(item));
    std::sort(items.begin(), items.end());
    return std::adjacent_find(items.begin(), items.end()) == items.end();
  }

  bool check_object(const SchemaNode& node, const Json& json, const Path& path) {
    bool is_valid =
        check_count(json.items.size(), node.members_min, node.members_max, "members", path);
    is_valid &= check_required(node.required, json, path, "");
    for (const Json& member : json.items) {
      const Path inner{&path, &member.name, 0};
      is_valid &= check_member(node, member, inner);
      if (node.member_names != no_node &&
          !accepts(node.member_names, Json::string(member.name), inner)) {
        is_valid = tell(inner, "has a name that is not allowed");
      }
    }
    for (const SchemaDependency& dependency : node.dependencies) {
      if (json.find(dependency.name) == nullptr) continue;
      is_valid &= check_required(dependency.required, json, path,
                                 " where there is " + quoted(dependency.name));
      is_valid &= check(dependency.node, json, path);
    }
    return is_valid;
  }

  bool check_required(const std::vector<std::string>& names,
                      const Json& json,
                      const Path& path,
                      const std::string& when) {
    bool is_valid = true;
    for (const std::string& name : names) {
      if (json.find(name) != nullptr) continue;
      is_valid = tell(Path{&path, &name, 0}, "is required" + when);
    }
    return is_valid;
  }

  bool check_member(const SchemaNode& node, const Json& member, const Path& path) {
    bool is_valid = true;
    bool is_known = false;
    const auto found = std::lower_bound(
        node.members.begin(), node.members.end(), member.name,
        [](const auto& known, const std::string& name) { return known.first < name; });
    if (found != node.members.end() && found->first == member.name) {
      is_known = true;
      is_valid = check(found->second, member, path);
    }
    for (const auto& [pattern, index] : node.member_patterns) {
      if (!RE2::PartialMatch(member.name, *pattern)) continue;
      is_known = true;
      is_valid &= check(index, member, path);
    }
    return is_known ? is_valid : check(node.other_members, member, path);
  }

  bool check_logic(const SchemaNode& node, const Json& json, const Path& path) {
    bool is_valid = true;
    for (const NodeIndex index : node.all_of) is_valid &= check(index, json, path);
    const auto accepted = [&](NodeIndex index) { return accepts(index, json, path); };
    if (!node.any_of.empty() && std::none_of(node.any_of.begin(), node.any_of.end(), accepted)) {
      is_valid = tell(path, "matches none of the schemas of 'anyOf'");
    }
    if (!node.one_of.empty()) {
      const auto count = std::count_if(node.one_of.begin(), node.one_of.end(), accepted);
      if (count == 0) is_valid = tell(path, "matches none of the schemas of 'oneOf'");
      if (count > 1) is_valid = tell(path, "matches more than one of the schemas of 'oneOf'");
    }
    if (node.not_this != no_node && accepted(node.not_this)) {
      is_valid = tell(path, "matches the schema of 'not'");
    }
    if (node.condition != no_node) {
      is_valid &= check(accepted(node.condition) ? node.consequence : node.alternative, json, path);
    }
    return is_valid;
  }

  const SchemaNodes& nodes_;
  std::vector<SchemaProblem> problems_;
  std::size_t steps_left_ = JsonSchema::steps_max;
  int silent_ = 0;  // how many schemas around this one only want an answer
};

}  // namespace

std::vector<SchemaProblem> JsonSchema::validate(const Json& document) const {
  return SchemaValidator(*nodes_).run(document);
}

}  // namespace raincheck::routes
