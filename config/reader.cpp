#include "config/reader.hpp"

#include <algorithm>

#include "config/interpolate.hpp"
#include "config/keys.hpp"
#include "config/suggest.hpp"

namespace raincheck::config {
namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool has_names(const TemplateText& text) {
  return std::any_of(text.parts.begin(), text.parts.end(),
                     [](const TemplateText::Part& part) { return part.is_name; });
}

}  // namespace

void Reading::refuse(const Place& place,
                     const std::string& path,
                     std::string message,
                     std::string hint) {
  refused_.insert(path);
  diagnostics_.push_back({place, path, std::move(message), std::move(hint), Severity::error});
}

void Reading::warn(const Place& place, const std::string& path, std::string message) {
  diagnostics_.push_back({place, path, std::move(message), "", Severity::warning});
}

bool Reading::is_scalar(const yaml::Value& value, const std::string& path) {
  if (value.kind == yaml::Kind::scalar) return true;
  refuse(value.place, path,
         value.kind == yaml::Kind::null ? "has no value: give it one or remove the key"
                                        : std::string("must be a single value, not a ") +
                                              (value.kind == yaml::Kind::list ? "list" : "map"));
  return false;
}

std::optional<TemplateText> Reading::template_text(const yaml::Value& value,
                                                   const std::string& path,
                                                   bool may_have_lines) {
  if (!is_scalar(value, path)) return std::nullopt;
  const auto is_refused = [&](char c) {
    return is_control(c) && !(may_have_lines && (c == '\n' || c == '\t'));
  };
  InterpolatedTemplate out = interpolate_template(value.text, environment_);
  if (out.problem.empty() && std::any_of(value.text.begin(), value.text.end(), is_refused)) {
    out.problem = "must not hold control characters";
  }
  if (!out.problem.empty()) {
    refuse(value.place, path, std::move(out.problem), std::move(out.hint));
    return std::nullopt;
  }
  out.text.place = value.place;
  return std::move(out.text);
}

std::optional<Reading::Text> Reading::text(const yaml::Value& value, const std::string& path) {
  if (!is_scalar(value, path)) return std::nullopt;
  Interpolated out = interpolate(value.text, environment_);
  if (!out.problem.empty()) {
    refuse(value.place, path, std::move(out.problem), std::move(out.hint));
    return std::nullopt;
  }
  if (std::any_of(out.text.begin(), out.text.end(), is_control)) {
    refuse(value.place, path, "must not hold control characters");
    return std::nullopt;
  }
  // "${FLAG}" must stand in quotes inside of { }; what is put in is not quoted by that.
  return Text{std::move(out.text), value.is_quoted && !out.is_changed, out.is_secret};
}

Place Reading::place(std::string path) const {
  while (true) {
    const auto found = places_.find(path);
    if (found != places_.end()) return found->second;
    const std::size_t end = path.find_last_of(".[");
    if (end == path.npos) return {};
    path.resize(end);
  }
}

bool Reading::is_refused(const std::string& path) const {
  return refused_.count(path) > 0;
}

bool Reading::is_refused_within(const std::string& path) const {
  const auto found = refused_.lower_bound(path);
  return found != refused_.end() && found->compare(0, path.size(), path) == 0;
}

void Reader::refuse_scalar(const yaml::Value& value,
                           const std::string& path,
                           bool is_secret,
                           Problem problem) {
  if (is_secret) problem = {"what '" + value.text + "' holds is not valid here", ""};
  reading_.refuse(value.place, path, std::move(problem.message), std::move(problem.hint));
}

const yaml::Value* Reader::take(const char* key, Use use) {
  known_.push_back(key);
  if (is_done_ || value_.kind != yaml::Kind::map) return nullptr;
  for (const auto& [name, value] : value_.entries) {
    if (name.text != key) continue;
    reading_.remember(below(key), value.place);
    if (role_ == Role::defaults && use != Use::optional) {
      reading_.refuse(name.place, below(key),
                      "'" + name.text + "' cannot be a default: each has its own");
      return nullptr;
    }
    return &value;
  }
  if (use == Use::required && role_ == Role::value) {
    reading_.refuse(value_.place, below(key), "is required");
  }
  return nullptr;
}

bool Reader::is_list(const yaml::Value& value, const std::string& path, bool may_be_scalar) {
  if (value.kind == yaml::Kind::list) return true;
  if (may_be_scalar && value.kind == yaml::Kind::scalar) return true;
  reading_.refuse(value.place, path,
                  value.kind == yaml::Kind::null ? "has no value: give it one or remove the key"
                                                 : "must be a list: [a, b], or lines with '- '");
  return false;
}

bool Reader::is_map(const yaml::Value& value, const std::string& path) {
  if (value.kind == yaml::Kind::map) return true;
  reading_.refuse(value.place, path,
                  value.kind == yaml::Kind::null ? "has no value: give it one or remove the key"
                                                 : "must be a map of 'key: value'");
  return false;
}

void Reader::any(const char* key, std::string& target, const char*, AnyShape shape) {
  const yaml::Value* value = take(key, Use::optional);
  if (value == nullptr || (shape != AnyShape::value && !is_map(*value, below(key)))) return;
  for (const auto& [name, inner] : value->entries) {
    std::string why = shape == AnyShape::pointers ? check_json_pointer(name.text) : "";
    if (!why.empty()) reading_.refuse(name.place, below(key), std::move(why));
  }
  std::string json;
  append_json(json, *value, below(key), nullptr);
  target = std::move(json);
}

void Reader::any(const char* key, TemplateJson& target, const char*) {
  const yaml::Value* value = take(key, Use::optional);
  if (value == nullptr) return;
  TemplateJson read;
  append_json(read.json, *value, below(key), &read.strings);
  target = std::move(read);
}

// As YAML's core schema has it, as far as JSON goes: what is not quoted and looks like a number,
// true, false or null is that.
void Reader::append_scalar(std::string& out,
                           const yaml::Value& value,
                           const std::string& path,
                           std::vector<TemplateText>* templates) {
  std::optional<TemplateText> text;
  if (templates != nullptr) {
    text = reading_.template_text(value, path);
    if (!text) return;
  }
  if (text && has_names(*text)) {
    out += json_text(text->written);
  } else {
    const auto plain = reading_.text(value, path);
    if (!plain) return;
    const bool is_text = plain->is_quoted || !is_json_literal(plain->text);
    out += is_text ? json_text(plain->text) : plain->text;
    if (!is_text) return;
  }
  if (text) templates->push_back(std::move(*text));
}

void Reader::append_json(std::string& out,
                         const yaml::Value& value,
                         const std::string& path,
                         std::vector<TemplateText>* templates) {
  const char* separator = "";
  switch (value.kind) {
    case yaml::Kind::null:
      out += "null";
      return;
    case yaml::Kind::scalar:
      append_scalar(out, value, path, templates);
      return;
    case yaml::Kind::list:
      out += '[';
      for (const yaml::Value& item : value.items) {
        out += separator;
        append_json(out, item, path, templates);
        separator = ",";
      }
      out += ']';
      return;
    case yaml::Kind::map:
      out += '{';
      for (const auto& [name, inner] : value.entries) {
        out += separator + json_text(name.text) + ":";
        append_json(out, inner, path, templates);
        separator = ",";
      }
      out += '}';
      return;
  }
}

bool Reader::is_good_key(const yaml::Value& name, const std::string& path, const NameRule& rule) {
  const std::string why = rule.rule(name.text);
  if (!why.empty()) reading_.refuse(name.place, path, why);
  return why.empty();
}

// The YAML knows keys that are the same already, but not those that differ in case.
bool Reader::is_first(const yaml::Value& name,
                      const std::string& path,
                      const yaml::Value& map,
                      const NameRule& rule) {
  if (rule.letters == NameRule::Case::matters) return true;
  for (const auto& [other, value] : map.entries) {
    if (&other == &name) return true;
    if (lower_case(other.text) != lower_case(name.text)) continue;
    refuse_second(name, path, other.place);
    return false;
  }
  return true;
}

void Reader::refuse_second(const yaml::Value& name, const std::string& path, const Place& first) {
  reading_.refuse(name.place, path,
                  "'" + name.text + "' is here twice: first at " + first.file + ":" +
                      std::to_string(first.line) + ":" + std::to_string(first.column));
}

void Reader::unbuilt(const char* key) {
  known_.push_back(key);
  if (is_done_ || value_.kind != yaml::Kind::map) return;
  for (const auto& [name, value] : value_.entries) {
    if (name.text != key) continue;
    reading_.refuse(name.place, below(key), "'" + name.text + "' is not built yet in this version");
  }
}

void Reader::finish() {
  if (is_done_ || !is_map(value_, path_)) return;
  for (const auto& [key, value] : value_.entries) {
    if (std::find(known_.begin(), known_.end(), key.text) == known_.end()) refuse_unknown(key);
  }
}

void Reader::refuse_unknown(const yaml::Value& key) {
  const std::string path = below(key.text.c_str());
  if (key.text == "<<") {
    reading_.refuse(key.place, path, "merge keys ('<<') are not read",
                    "what upstreams or routes share goes into 'defaults'");
    return;
  }
  const std::string message = "unknown key '" + key.text + "'";
  const auto owners = owners_of(key.text);
  const auto known = std::vector<std::string>(known_.begin(), known_.end());
  std::string hint;
  if (owners.size() == 1 || owners.size() == 2) {
    hint = "it belongs to " + owners.front();
    if (owners.size() == 2) hint += " or " + owners.back();
  } else {
    hint = did_you_mean(key.text, known);
  }
  reading_.refuse(key.place, path, message, std::move(hint));
}

}  // namespace raincheck::config
