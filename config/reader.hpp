// Fills the structs of config.hpp from a tree of YAML values, by visiting their descriptions
// (describe.hpp). Whatever is wrong becomes a diagnostic, the setting keeps its default, and
// reading goes on. Lives for one load.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/describe.hpp"
#include "config/load.hpp"
#include "config/yaml.hpp"

namespace raincheck::config {

// What all readers of one load share.
class Reading {
 public:
  Reading(const Environment& environment, std::vector<Diagnostic>& diagnostics)
      : environment_(environment), diagnostics_(diagnostics) {}

  void refuse(const Place& place,
              const std::string& path,
              std::string message,
              std::string hint = "");
  void warn(const Place& place, const std::string& path, std::string message);

  // The text of a scalar with everything put in; nothing, and a diagnostic, if it has none.
  struct Text {
    std::string text;
    bool is_quoted = false;
    bool is_secret = false;  // it came from a file or credential, and no message may show it
  };
  std::optional<Text> text(const yaml::Value& value, const std::string& path);
  std::optional<TemplateText> template_text(const yaml::Value& value,
                                            const std::string& path,
                                            bool may_have_lines = false);

  // Where the setting was written, or else the nearest setting around it that was.
  Place place(std::string path) const;
  void remember(const std::string& path, const Place& place) { places_[path] = place; }
  bool is_refused(const std::string& path) const;
  bool is_refused_within(const std::string& path) const;  // it, or a setting within it

 private:
  bool is_scalar(const yaml::Value& value, const std::string& path);

  const Environment& environment_;
  std::vector<Diagnostic>& diagnostics_;
  std::map<std::string, Place> places_;
  std::set<std::string> refused_;
};

enum class Role {
  value,     // the map is the thing itself
  defaults,  // the map is what others begin as
};

// The visitor that reads one map.
class Reader {
 public:
  Reader(Reading& reading, const yaml::Value& value, std::string path, Role role = Role::value)
      : reading_(reading), value_(value), path_(std::move(path)), role_(role) {}

  template <class T, class K>
  void shorthand(T& target, const K& kind) {
    if (value_.kind != yaml::Kind::scalar || role_ == Role::defaults) return;
    is_done_ = true;
    read_scalar(value_, path_, target, kind);
  }

  // Of a section that is on when it is there, or says true in place of a map.
  void toggle(bool& target) {
    target = true;
    if (value_.kind != yaml::Kind::scalar) return;
    is_done_ = true;
    read_scalar(value_, path_, target, Flag{});
  }

  template <class T, class K>
  void field(const char* key, T& target, const K& kind, const char*, Use use = Use::optional) {
    if (const yaml::Value* value = take(key, use)) read_scalar(*value, below(key), target, kind);
  }

  template <class T, class K>
  void list(const char* key, T& target, const K& kind, const char*, Use use = Use::optional) {
    const yaml::Value* value = take(key, use);
    if (value == nullptr || !is_list(*value, below(key), K::may_be_scalar)) return;
    kind.clear(target);
    if (value->kind == yaml::Kind::scalar) {
      append(*value, below(key), target, kind);
      return;
    }
    if (value->items.empty() && !kind.may_be_empty) {
      reading_.refuse(value->place, below(key), "must not be empty");
    }
    for (std::size_t i = 0; i < value->items.size(); ++i) {
      reading_.remember(element(key, i), value->items[i].place);
      append(value->items[i], element(key, i), target, kind);
    }
  }

  template <class T, class K>
  void entries(const char* key,
               std::vector<Named<T>>& target,
               const NameRule& rule,
               const K& kind,
               const char*,
               Use use = Use::optional) {
    const yaml::Value* value = take(key, use);
    if (value == nullptr || !is_map(*value, below(key))) return;
    target.clear();
    for (const auto& [name, inner] : value->entries) {
      const std::string path = below(key) + "." + name.text;
      if (!is_good_key(name, path, rule) || !is_first(name, path, *value, rule)) continue;
      reading_.remember(path, name.place);
      Named<T>& added = target.emplace_back();
      added.name = name.text;
      read_scalar(inner, path, added.value, kind);
    }
  }

  template <class T>
  void section(const char* key, T& target, const char*, Use use = Use::optional) {
    if (const yaml::Value* value = take(key, use)) read_map(*value, below(key), target, role_);
  }

  template <class F>
  void group(const char* key, const char*, const F& describe_group) {
    const yaml::Value* value = take(key, Use::optional);
    if (value == nullptr) return;
    Reader reader(reading_, *value, below(key), role_);
    describe_group(reader);
    reader.finish();
  }

  template <class T>
  void items(const char* key, std::vector<T>& target, const T& start, const char*, Use use) {
    const yaml::Value* value = take(key, use);
    if (value == nullptr || !is_list(*value, below(key), false)) return;
    if (value->items.empty()) reading_.refuse(value->place, below(key), "must not be empty");
    start_over(target);
    for (const yaml::Value& item : value->items) {
      const std::string path = element(key, target.size());
      T& added = target.emplace_back(start);
      added.place = item.place;
      reading_.remember(path, item.place);
      read_map(item, path, added, Role::value);
    }
  }

  template <class T>
  void named(
      const char* key, std::vector<T>& target, const T& start, const NameRule& rule, const char*) {
    const yaml::Value* value = take(key, Use::optional);
    if (value == nullptr || !is_map(*value, below(key))) return;
    start_over(target);
    for (const auto& [name, inner] : value->entries) {
      const std::string path = below(key) + "." + name.text;
      if (!is_good_key(name, path, rule) || !is_first(name, path, *value, rule)) continue;
      for (const T& other : target) {
        const bool is_second = other.name == name.text && other.place.file != name.place.file;
        if (is_second) refuse_second(name, path, other.place);  // within a file: refused already
      }
      T& added = target.emplace_back(start);
      added.name = name.text;
      added.place = name.place;
      reading_.remember(path, name.place);
      read_map(inner, path, added, Role::value);
    }
  }

  template <class T>
  void defaults(const char* key, T& target, const char*) {
    if (const yaml::Value* value = take(key, Use::optional)) {
      read_map(*value, below(key), target, Role::defaults);
    }
  }

  void any(const char* key, std::string& target, const char*, AnyShape shape = AnyShape::value);
  void any(const char* key, TemplateJson& target, const char*);

  void unbuilt(const char* key);

  // To be called after the description was visited: what was not asked for is unknown.
  void finish();

 private:
  const yaml::Value* take(const char* key, Use use);
  // What a thing says stands in place of its default; at the top level files add to each other.
  template <class T>
  void start_over(std::vector<T>& target) const {
    if (!path_.empty()) target.clear();
  }
  std::string below(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  std::string element(const char* key, std::size_t index) const {
    return below(key) + "[" + std::to_string(index) + "]";
  }
  bool is_list(const yaml::Value& value, const std::string& path, bool may_be_scalar);
  bool is_map(const yaml::Value& value, const std::string& path);
  // With `templates`, strings are texts with ${...} of a request, and each is added there.
  void append_json(std::string& out,
                   const yaml::Value& value,
                   const std::string& path,
                   std::vector<TemplateText>* templates);
  void append_scalar(std::string& out,
                     const yaml::Value& value,
                     const std::string& path,
                     std::vector<TemplateText>* templates);
  bool is_good_key(const yaml::Value& name, const std::string& path, const NameRule& rule);
  bool is_first(const yaml::Value& name,
                const std::string& path,
                const yaml::Value& map,
                const NameRule& rule);
  void refuse_second(const yaml::Value& name, const std::string& path, const Place& first);
  void refuse_unknown(const yaml::Value& key);
  void refuse_scalar(const yaml::Value& value,
                     const std::string& path,
                     bool is_secret,
                     Problem problem);

  template <class T, class K>
  static Problem read_into(const Scalar& scalar, T& target, const K& kind) {
    return kind.read(scalar, target);
  }
  template <class T, class K>
  static Problem read_into(const Scalar& scalar, std::optional<T>& target, const K& kind) {
    T value{};
    Problem problem = kind.read(scalar, value);
    if (!problem) target = std::move(value);
    return problem;
  }

  template <class F>
  void with_scalar(const yaml::Value& value, const std::string& path, const F& read) {
    const auto text = reading_.text(value, path);
    if (!text) return;
    Problem problem = read(Scalar{text->text, text->is_quoted});
    if (problem) refuse_scalar(value, path, text->is_secret, std::move(problem));
  }
  template <class T, class K>
  void read_scalar(const yaml::Value& value, const std::string& path, T& target, const K& kind) {
    if constexpr (requires { K::is_template; }) {
      if (auto text = reading_.template_text(value, path, kind.may_have_lines))
        target = std::move(*text);
    } else {
      with_scalar(value, path,
                  [&](const Scalar& scalar) { return read_into(scalar, target, kind); });
    }
  }
  template <class T, class K>
  void append(const yaml::Value& value, const std::string& path, T& target, const K& kind) {
    with_scalar(value, path, [&](const Scalar& scalar) { return kind.append(scalar, target); });
  }

  template <class T>
  void read_map(const yaml::Value& value, const std::string& path, T& target, Role role) {
    Reader reader(reading_, value, path, role);
    describe(reader, target);
    reader.finish();
  }

  Reading& reading_;
  const yaml::Value& value_;
  const std::string path_;
  const Role role_;
  bool is_done_ = false;
  std::vector<std::string_view> known_;
};

}  // namespace raincheck::config
