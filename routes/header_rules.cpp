#include "routes/header_rules.hpp"

#include <algorithm>
#include <optional>

#include "config/rules.hpp"

namespace raincheck::routes {
namespace {

// Where in the text a rule's value is; nothing: the rule has none for this request.
struct Extent {
  std::size_t begin = 0;
  std::size_t size = 0;
};
using Extents = std::vector<std::optional<Extent>>;

bool is_named(std::string_view pattern, std::string_view name) {
  if (pattern.empty() || pattern.back() != '*') return is_same_name(pattern, name);
  pattern.remove_suffix(1);
  return name.size() >= pattern.size() && is_same_name(pattern, name.substr(0, pattern.size())) &&
         !config::is_reserved_field(name);
}

// The first field of that name gets the value, the others go.
void set_field(Fields& fields, Field field) {
  bool is_set = false;
  fields.for_each_field([&](Field& known) {
    if (!is_same_name(known.name, field.name)) return;
    known = is_set ? Field() : field;
    is_set = true;
  });
  if (!is_set) fields.push_back(field);
  fields.erase_if([](const Field& known) { return known.name.empty(); });
}

void remove_field(Fields& fields, std::string_view name) {
  fields.erase_if([name](const Field& field) { return is_same_name(field.name, name); });
}

// Renders the value of every rule behind the text; it moves no more when all are there.
template <class Rules>
Rendering render_all(const Rules& rules,
                     const Values& values,
                     std::string& text,
                     Extents& extents) {
  for (const auto& rule : rules) {
    const std::size_t begin = text.size();
    const Rendering rendering = rule.value.render(values, Form::field, text);
    if (rendering.outcome == Rendering::Outcome::unreadable) return rendering;
    extents.emplace_back();
    if (rendering) extents.back() = Extent{begin, text.size() - begin};
  }
  return {};
}

}  // namespace

std::vector<HeaderRules::Rule> HeaderRules::compile_all(
    const std::vector<config::Named<config::TemplateText>>& from,
    const std::string& setting,
    const Scope& scope,
    std::vector<RuleProblem>& problems) {
  std::vector<Rule> rules;
  for (const auto& [name, text] : from) {
    std::string why;
    rules.push_back({name, Template::compile(text, scope, why)});
    if (why.empty()) continue;
    problems.push_back({text.place, setting, why});
    problems.back().setting.append(".").append(name);
  }
  return rules;
}

HeaderRules HeaderRules::compile(const config::HeaderChanges& changes,
                                 const std::string& setting,
                                 const Scope& scope,
                                 std::vector<RuleProblem>& problems) {
  HeaderRules rules;
  for (const auto& [from, to] : changes.rename) rules.rename_.push_back({from, to});
  rules.remove_ = changes.remove;
  rules.set_ = compile_all(changes.set, setting + ".set", scope, problems);
  rules.add_ = compile_all(changes.add, setting + ".add", scope, problems);
  rules.default_ = compile_all(changes.default_, setting + ".default", scope, problems);
  return rules;
}

bool HeaderRules::is_empty() const {
  return rename_.empty() && remove_.empty() && set_.empty() && add_.empty() && default_.empty();
}

void HeaderRules::rename(Fields& fields) const {
  for (const Rename& rule : rename_) {
    if (fields.count(rule.from) == 0) continue;
    // What came under the new name must not be taken for what is renamed.
    if (!is_same_name(rule.from, rule.to)) remove_field(fields, rule.to);
    fields.for_each_field([&](Field& field) {
      if (is_same_name(field.name, rule.from)) field.name = rule.to;
    });
  }
}

void HeaderRules::remove(Fields& fields) const {
  for (const std::string& pattern : remove_) {
    fields.erase_if([&](const Field& field) { return is_named(pattern, field.name); });
  }
}

Rendering HeaderRules::apply(const Values& values, Fields& fields, std::string& text) const {
  Extents extents;
  extents.reserve(set_.size() + add_.size() + default_.size());
  for (const auto* rules : {&set_, &add_, &default_}) {
    const Rendering rendering = render_all(*rules, values, text, extents);
    if (!rendering) return rendering;
  }
  rename(fields);
  remove(fields);
  auto extent = extents.begin();
  const auto next = [&]() -> std::optional<std::string_view> {
    const auto found = *extent++;
    if (!found) return std::nullopt;
    return jobs::trim(std::string_view(text).substr(found->begin, found->size));
  };
  for (const Rule& rule : set_) {
    if (const auto value = next()) {
      set_field(fields, {rule.name, *value});
    } else {
      remove_field(fields, rule.name);
    }
  }
  for (const Rule& rule : add_) {
    if (const auto value = next()) fields.push_back({rule.name, *value});
  }
  for (const Rule& rule : default_) {
    const auto value = next();
    if (value && fields.count(rule.name) == 0) fields.push_back({rule.name, *value});
  }
  return {};
}

}  // namespace raincheck::routes
