#include <algorithm>
#include <unordered_map>

#include "routes/ecma_pattern.hpp"
#include "routes/json_pointer.hpp"
#include "routes/json_schema.hpp"
#include "routes/json_schema_documents.hpp"
#include "routes/json_schema_nodes.hpp"

namespace raincheck::routes {
namespace {

using Kind = Json::Kind;

// Schemas that look at the same value one inside of the other; more is a circle.
constexpr int nesting_max = 32;
constexpr std::size_t choices_text_max = 200;

class SchemaCompiler {
 public:
  SchemaCompiler(const JsonSchema::ReadFile& read, std::vector<SchemaError>& errors)
      : documents_(read, errors) {}

  std::unique_ptr<SchemaNodes> run(const std::string& file) {
    if (const Json* root = documents_.open(file, {file, "", file})) {
      check_draft(*root);
      out_->root = node(*root);
    }
    for (std::size_t i = 0; i < sources_.size(); ++i) {  // compiling one adds others
      SchemaNode filled = compile(*sources_[i]);
      out_->nodes[i] = std::move(filled);
    }
    nesting_.resize(out_->nodes.size());
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (is_nested_too_deeply(static_cast<NodeIndex>(i), 0)) {
        documents_.refuse(documents_.place(*sources_[i]), "",
                          "refers to itself without going into the value, or through more than " +
                              std::to_string(nesting_max) + " schemas");
        break;
      }
    }
    return std::move(out_);
  }

 private:
  void check_draft(const Json& root) {
    const Json* draft = root.find("$schema");
    if (draft == nullptr) return;
    std::string_view uri = draft->text;
    if (!uri.empty() && uri.back() == '#') uri.remove_suffix(1);
    for (const std::string_view known : {"draft-07", "draft-06"}) {
      if (uri == "http://json-schema.org/" + std::string(known) + "/schema") return;
    }
    documents_.refuse(documents_.place(root), "/$schema",
                      "only draft 7 and draft 6 are read, not '" + draft->text + "'");
  }

  NodeIndex node(const Json& json) {
    const auto [known, is_new] =
        indexes_.emplace(&json, static_cast<NodeIndex>(out_->nodes.size()));
    if (is_new) {
      out_->nodes.emplace_back();
      sources_.push_back(&json);
    }
    return known->second;
  }

  SchemaNode compile(const Json& json) {
    SchemaNode out;
    here_ = &json;
    if (json.kind == Kind::boolean) {
      out.is_false = !json.is_true;
    } else if (json.kind != Kind::object) {
      refuse("", "a schema must be an object, true or false");
    } else if (const Json* ref = get("$ref", Kind::string, "a string")) {
      // Everything beside it is ignored (draft 7 section 8.3).
      const Json* target = documents_.resolve(ref->text, documents_.place(json));
      if (target != nullptr) out.ref = node(*target);
    } else {
      compile_any(out);
      compile_number(out);
      compile_string(out);
      compile_array(out);
      compile_object(out);
      compile_logic(out);
    }
    return out;
  }

  void compile_any(SchemaNode& out) {
    if (const Json* type = here_->find("type")) out.types = types(*type);
    if (const Json* choices = get("enum", Kind::array, "a list")) {
      for (const Json& choice : choices->items) add_choice(out, choice);
      if (choices->items.empty()) out.is_false = true;
    }
    if (const Json* only = here_->find("const")) {
      // With "enum" as well, both must hold.
      const std::string value = canonical(*only);
      const bool is_possible = out.choices.empty() || contains(out.choices, value);
      out.choices.clear();
      out.choices_text.clear();
      add_choice(out, *only);
      if (!is_possible) out.is_false = true;
    }
  }

  static bool contains(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }

  static void add_choice(SchemaNode& out, const Json& choice) {
    out.choices.push_back(canonical(choice));
    if (out.choices_text.size() > choices_text_max) return;
    out.choices_text += (out.choices_text.empty() ? "" : ", ") + to_text(choice);
    if (out.choices_text.size() > choices_text_max) out.choices_text += " or another one";
  }

  std::uint8_t types(const Json& type) {
    if (type.kind == Kind::string) return type_bit(type);
    std::uint8_t bits = 0;
    if (type.kind == Kind::array) {
      for (const Json& item : type.items) bits |= type_bit(item);
    }
    if (bits == 0) refuse("type", "must be a type or a list of types");
    return bits;
  }

  std::uint8_t type_bit(const Json& word) {
    for (const auto& [text, bit] : schema_type_words()) {
      if (word.kind == Kind::string && word.text == text) return bit;
    }
    refuse("type", to_text(word) + " is not a type");
    return 0;
  }

  void compile_number(SchemaNode& out) {
    number("minimum", out.minimum, out.minimum_text);
    number("maximum", out.maximum, out.maximum_text);
    number("exclusiveMinimum", out.above, out.above_text);
    number("exclusiveMaximum", out.below, out.below_text);
    number("multipleOf", out.multiple_of, out.multiple_text);
    const auto& unit = out.multiple_of;
    if (unit && (*unit <= Decimal() || unit->digit_count() > Decimal::unit_digits_max)) {
      refuse("multipleOf", "must be greater than 0 and have at most 9 digits");
      out.multiple_of.reset();
    }
  }

  void number(const char* keyword, std::optional<Decimal>& out, std::string& text) {
    if (const Json* value = get(keyword, Kind::number, "a number")) {
      out.emplace(value->text);
      text = value->text;
    }
  }

  std::optional<std::size_t> count(const char* keyword) {
    const Json* value = get(keyword, Kind::number, "a number");
    if (value == nullptr) return std::nullopt;
    const std::string text = canonical(*value);  // digits, 'e', zeros
    const std::size_t e = text.find('e');
    const std::string zeros = text.substr(e + 1);
    const auto power = parse_index(zeros);
    if (!power || *power > 18) {
      refuse(keyword, "must be a whole number from 0 on");
      return std::nullopt;
    }
    const std::string digits = text.substr(0, e) + std::string(e == 0 ? 1 : *power, '0');
    const auto number = parse_index(digits);
    if (!number) refuse(keyword, "must be a whole number from 0 on");
    return number;
  }

  void compile_string(SchemaNode& out) {
    out.length_min = count("minLength");
    out.length_max = count("maxLength");
    if (const Json* pattern = get("pattern", Kind::string, "a string")) {
      out.pattern = compile_pattern("pattern", pattern->text);
    }
    if (const Json* format = get("format", Kind::string, "a string")) {
      out.format = parse_json_format(format->text);
    }
  }

  std::shared_ptr<const RE2> compile_pattern(std::string_view keyword, const std::string& text) {
    std::string why;
    auto pattern = compile_ecma_pattern(text, why);
    if (!pattern) refuse(keyword, "'" + text + "' is not a pattern that can be matched: " + why);
    return pattern;
  }

  void compile_array(SchemaNode& out) {
    out.items_min = count("minItems");
    out.items_max = count("maxItems");
    if (const Json* unique = get("uniqueItems", Kind::boolean, "true or false")) {
      out.is_unique = unique->is_true;
    }
    out.contains = child("contains");
    const Json* items = here_->find("items");
    if (items != nullptr && items->kind == Kind::array) {
      for (const Json& item : items->items) out.tuple.push_back(node(item));
      out.items_beyond_tuple = child("additionalItems");
    } else {
      out.items = child("items");
    }
  }

  void compile_object(SchemaNode& out) {
    out.members_min = count("minProperties");
    out.members_max = count("maxProperties");
    if (const Json* required = here_->find("required"))
      out.required = strings("required", *required);
    if (const Json* members = get("properties", Kind::object, "an object")) {
      for (const Json& member : members->items) out.members.emplace_back(member.name, node(member));
      std::sort(out.members.begin(), out.members.end());
    }
    if (const Json* patterns = get("patternProperties", Kind::object, "an object")) {
      for (const Json& member : patterns->items) {
        if (auto pattern = compile_pattern("patternProperties", member.name)) {
          out.member_patterns.emplace_back(std::move(pattern), node(member));
        }
      }
    }
    out.other_members = child("additionalProperties");
    out.member_names = child("propertyNames");
    if (const Json* dependencies = get("dependencies", Kind::object, "an object")) {
      for (const Json& member : dependencies->items) {
        SchemaDependency dependency{member.name, {}, no_node};
        if (member.kind == Kind::array) {
          dependency.required = strings("dependencies", member);
        } else {
          dependency.node = node(member);
        }
        out.dependencies.push_back(std::move(dependency));
      }
    }
  }

  void compile_logic(SchemaNode& out) {
    out.all_of = children("allOf");
    out.any_of = children("anyOf");
    out.one_of = children("oneOf");
    out.not_this = child("not");
    out.condition = child("if");
    if (out.condition == no_node) return;
    out.consequence = child("then");
    out.alternative = child("else");
  }

  NodeIndex child(const char* keyword) {
    const Json* value = here_->find(keyword);
    return value == nullptr ? no_node : node(*value);
  }

  std::vector<NodeIndex> children(const char* keyword) {
    std::vector<NodeIndex> all;
    if (const Json* list = get(keyword, Kind::array, "a list")) {
      for (const Json& item : list->items) all.push_back(node(item));
      if (all.empty()) refuse(keyword, "must not be empty");
    }
    return all;
  }

  std::vector<std::string> strings(const char* keyword, const Json& list) {
    std::vector<std::string> all;
    for (const Json& item : list.items) {
      if (list.kind == Kind::array && item.kind == Kind::string) all.push_back(item.text);
    }
    if (list.kind != Kind::array || all.size() != list.items.size()) {
      refuse(keyword, "must be a list of strings");
    }
    return all;
  }

  // The value of a keyword, of the kind that it must have.
  const Json* get(const char* keyword, Kind kind, const char* what) {
    const Json* value = here_->find(keyword);
    if (value == nullptr || value->kind == kind) return value;
    refuse(keyword, std::string("must be ") + what);
    return nullptr;
  }

  void refuse(std::string_view keyword, std::string message) {
    std::string below;
    if (!keyword.empty()) append_pointer_token(below, keyword);
    documents_.refuse(documents_.place(*here_), below, std::move(message));
  }

  // Follows the schemas that look at the same value.
  bool is_nested_too_deeply(NodeIndex index, int level) {
    if (index == no_node) return false;
    if (level > nesting_max) return true;
    int& seen = nesting_[static_cast<std::size_t>(index)];  // the deepest level so far, plus one
    if (seen > level) return false;
    seen = level + 1;
    const SchemaNode& node = out_->nodes[static_cast<std::size_t>(index)];
    const auto is_deep = [&](NodeIndex inner) { return is_nested_too_deeply(inner, level + 1); };
    const auto any_is_deep = [&](const std::vector<NodeIndex>& inner) {
      return std::any_of(inner.begin(), inner.end(), is_deep);
    };
    return is_deep(node.ref) || any_is_deep(node.all_of) || any_is_deep(node.any_of) ||
           any_is_deep(node.one_of) || is_deep(node.not_this) || is_deep(node.condition) ||
           is_deep(node.consequence) || is_deep(node.alternative) ||
           std::any_of(node.dependencies.begin(), node.dependencies.end(),
                       [&](const SchemaDependency& d) { return is_deep(d.node); });
  }

  SchemaDocuments documents_;
  std::unique_ptr<SchemaNodes> out_ = std::make_unique<SchemaNodes>();
  std::unordered_map<const Json*, NodeIndex> indexes_;
  std::vector<const Json*> sources_;  // of the nodes, by index
  std::vector<int> nesting_;
  const Json* here_ = nullptr;  // the schema that is being compiled
};

}  // namespace

std::vector<std::pair<const char*, SchemaTypes>> schema_type_words() {
  return {{"null", type_null},     {"boolean", type_boolean}, {"integer", type_integer},
          {"number", type_number}, {"string", type_string},   {"array", type_array},
          {"object", type_object}};
}

std::string SchemaError::text() const {
  return file + (pointer.empty() ? "" : "#" + pointer) + ": " + message;
}

JsonSchema JsonSchema::compile(const std::string& path,
                               const ReadFile& read,
                               std::vector<SchemaError>& errors) {
  return JsonSchema(SchemaCompiler(read, errors).run(path));
}

JsonSchema::JsonSchema(std::unique_ptr<SchemaNodes> nodes) : nodes_(std::move(nodes)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

}  // namespace raincheck::routes
