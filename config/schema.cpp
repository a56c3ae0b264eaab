#include "config/schema.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "config/describe.hpp"

namespace raincheck::config {
namespace {

// The members of a JSON object, as text.
class Object {
 public:
  Object& add(std::string_view key, const std::string& json) {
    members_ += (members_.empty() ? "" : ",") + json_text(key) + ":" + json;
    return *this;
  }
  Object& add_text(std::string_view key, std::string_view text) {
    return add(key, json_text(text));
  }
  Object& append(const Object& other) {
    members_ += (members_.empty() ? "" : ",") + other.members_;
    return *this;
  }
  std::string json() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

std::string array(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ",") + item;
  return "[" + out + "]";
}

std::string value_json(const Shape& shape, const std::string& shown) {
  return shape.type == Shape::Type::text ? json_text(shown) : shown;
}

// What is put in when the file is read: nothing is known of it before.
const std::string interpolated = R"({"$ref":"#/definitions/interpolated"})";
constexpr std::string_view or_interpolated = R"(|\$\{)";

std::string choices_json(const Shape& shape) {
  std::vector<std::string> choices;
  for (const std::string& choice : shape.choices) choices.push_back(value_json(shape, choice));
  return Object().add("enum", array(choices)).json();
}

// The schema of one scalar.
Object scalar(const Shape& shape) {
  Object out;
  if (!shape.choices.empty()) {
    out.add("anyOf", array({choices_json(shape), interpolated}));
    return out;
  }
  switch (shape.type) {
    case Shape::Type::flag:
      out.add("anyOf", array({R"({"type":"boolean"})", interpolated}));
      break;
    case Shape::Type::number:
      out.add("type", R"(["integer","string"])");
      if (shape.min) out.add("minimum", std::to_string(*shape.min));
      if (shape.max) out.add("maximum", std::to_string(*shape.max));
      out.add_text("pattern", "^[0-9]+$" + std::string(or_interpolated));
      break;
    case Shape::Type::text:
      out.add_text("type", "string");
      if (!shape.pattern.empty()) {
        out.add_text("pattern", shape.pattern + std::string(or_interpolated));
      }
      break;
  }
  return out;
}

template <class T, class K>
std::optional<std::string> shown(const K& kind, const T& value) {
  return kind.show(value);
}
template <class T, class K>
std::optional<std::string> shown(const K& kind, const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return kind.show(*value);
}

// The visitor that writes the schema of one map.
class Writer {
 public:
  enum class Role { value, defaults };

  explicit Writer(Role role = Role::value) : role_(role) {}

  template <class T, class K>
  void shorthand(T&, const K& kind) {
    if (role_ == Role::value) shorthand_ = scalar(kind.shape()).json();
  }

  void toggle(bool&) { shorthand_ = scalar(Flag{}.shape()).json(); }

  template <class T, class K>
  void field(
      const char* key, T& target, const K& kind, const char* sentence, Use use = Use::optional) {
    Object schema;
    schema.add_text("description", sentence);
    const auto text = shown(kind, target);
    // An empty text is the absence of a value, not a default.
    if (text && !text->empty()) schema.add("default", value_json(kind.shape(), *text));
    add(key, merge(schema, scalar(kind.shape())), use);
  }

  template <class T, class K>
  void list(
      const char* key, T& target, const K& kind, const char* sentence, Use use = Use::optional) {
    std::vector<std::string> shapes;
    for (const Shape& shape : kind.shapes()) shapes.push_back(scalar(shape).json());
    const std::string item =
        shapes.size() == 1 ? shapes.front() : Object().add("anyOf", array(shapes)).json();
    Object schema;
    schema.add_text("description", sentence);
    std::vector<std::string> values;
    for (const std::string& text : kind.show(target)) {
      const bool is_number = text.find_first_not_of("0123456789") == text.npos;
      values.push_back(is_number ? text : json_text(text));
    }
    const bool is_scalar = kind.may_be_scalar && values.size() == 1;
    if (!values.empty() || kind.may_be_empty) {
      schema.add("default", is_scalar ? values.front() : array(values));
    }
    Object list_schema;
    list_schema.add_text("type", "array").add("items", item);
    if (!kind.may_be_empty) list_schema.add("minItems", "1");
    if (kind.may_be_scalar) shapes.push_back(list_schema.json());
    add(key, merge(schema, kind.may_be_scalar ? Object().add("anyOf", array(shapes)) : list_schema),
        use);
  }

  template <class T, class K>
  void entries(const char* key,
               std::vector<Named<T>>&,
               const NameRule& rule,
               const K& kind,
               const char* sentence,
               Use use = Use::optional) {
    add(key, described(sentence, map_of(rule, scalar(kind.shape()))), use);
  }

  template <class T>
  void section(const char* key, T& target, const char* sentence, Use use = Use::optional) {
    add(key, described(sentence, map(target, role_)), use);
  }

  template <class F>
  void group(const char* key, const char* sentence, const F& describe_group) {
    Writer writer(role_);
    describe_group(writer);
    add(key, described(sentence, writer.schema()), Use::optional);
  }

  template <class T>
  void items(const char* key, std::vector<T>&, T start, const char* sentence, Use use) {
    Object list_schema;
    list_schema.add_text("type", "array").add("minItems", "1");
    list_schema.add("items", map(start, Role::value).json());
    add(key, described(sentence, list_schema), use);
  }

  template <class T>
  void named(
      const char* key, std::vector<T>&, T start, const NameRule& rule, const char* sentence) {
    add(key, described(sentence, map_of(rule, map(start, Role::value))), Use::optional);
  }

  template <class T>
  void any(const char* key, T&, const char* sentence, AnyShape shape = AnyShape::value) {
    Object schema;
    schema.add_text("description", sentence);
    if (shape != AnyShape::value) schema.add_text("type", "object");
    if (shape == AnyShape::pointers) {
      schema.add("propertyNames", R"({"pattern":"^(/([^~]|~[01])*)?$"})").add("minProperties", "1");
    }
    add(key, schema, Use::optional);
  }

  template <class T>
  void defaults(const char* key, T& target, const char* sentence) {
    add(key, described(sentence, map(target, Role::defaults)), Use::optional);
  }

  void unbuilt(const char*) {}

  Object schema() const {
    Object object;
    object.add_text("type", "object");
    object.add("additionalProperties", "false");
    if (!required_.empty()) object.add("required", array(required_));
    object.add("properties", properties_.json());
    if (shorthand_.empty()) return object;
    return Object().add("anyOf", array({shorthand_, object.json()}));
  }

 private:
  template <class T>
  static Object map(T& target, Role role) {
    Writer writer(role);
    describe(writer, target);
    return writer.schema();
  }

  // A map from the operator's own words.
  static Object map_of(const NameRule& names, const Object& value) {
    Object out;
    out.add_text("type", "object");
    if (!names.pattern.empty()) {
      out.add("propertyNames", Object().add_text("pattern", names.pattern).json());
    }
    return out.add("additionalProperties", value.json());
  }

  static Object merge(Object first, const Object& second) { return first.append(second); }
  static Object described(const char* sentence, const Object& schema) {
    return merge(Object().add_text("description", sentence), schema);
  }

  void add(const char* key, const Object& schema, Use use) {
    if (role_ == Role::defaults && use != Use::optional) return;
    properties_.add(key, schema.json());
    if (use == Use::required) required_.push_back(json_text(key));
  }

  const Role role_;
  Object properties_;
  std::vector<std::string> required_;
  std::string shorthand_;
};

// Breaks compact JSON into lines; short lists and objects without lists in them stay on one.
std::string indent(std::string_view json) {
  std::string out;
  std::size_t depth = 0;
  bool in_text = false;
  const auto new_line = [&] { out += "\n" + std::string(2 * depth, ' '); };
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      out += c;
      if (c == '\\') out += json[++i];
      if (c == '"') in_text = false;
      continue;
    }
    const bool is_open = c == '{' || c == '[';
    if (is_open) {
      const std::size_t close = json.find(c == '{' ? '}' : ']', i);
      const std::string_view inner = json.substr(i + 1, close - i - 1);
      const bool is_whole = std::count(inner.begin(), inner.end(), '"') % 2 == 0;
      if (is_whole && inner.size() <= 60 && inner.find_first_of("{[") == inner.npos) {
        out += json.substr(i, close - i + 1);
        i = close;
        continue;
      }
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
      new_line();
    }
    in_text = c == '"';
    out += c;
    if (c == ':') out += ' ';
    if (is_open || c == ',') new_line();
  }
  return out;
}

}  // namespace

std::string schema_json() {
  Config config;
  MainFile file{config, {}, {}};
  Writer writer;
  describe(writer, file);
  const std::string definition =
      Object()
          .add_text("type", "string")
          .add_text("pattern", R"(\$\{)")
          .add_text("description",
                    "${NAME}, ${NAME:-default}, ${file:/path} or ${credential:name}.")
          .json();
  Object schema;
  schema.add_text("$schema", "http://json-schema.org/draft-07/schema#");
  schema.add_text("title", "raincheck configuration");
  schema.append(writer.schema());
  schema.add("definitions", Object().add("interpolated", definition).json());
  return indent(schema.json()) + "\n";
}

}  // namespace raincheck::config
