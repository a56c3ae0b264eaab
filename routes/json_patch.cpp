#include "routes/json_patch.hpp"

#include <algorithm>
#include <utility>

namespace raincheck::routes {
namespace {

using config::PatchOp;

enum class Outcome { done, missing, different, too_large };

const char* name(PatchOp op) {
  switch (op) {
    case PatchOp::add:
      return "add";
    case PatchOp::remove:
      return "remove";
    case PatchOp::replace:
      return "replace";
    case PatchOp::move:
      return "move";
    case PatchOp::copy:
      return "copy";
    case PatchOp::test:
      return "test";
  }
  return "";
}

const char* reason(Outcome outcome) {
  switch (outcome) {
    case Outcome::done:
      return "";
    case Outcome::missing:
      return "there is no such value";
    case Outcome::different:
      return "the value is another one";
    case Outcome::too_large:
      return "the document would grow too large";
  }
  return "";
}

std::size_t depth_of(const Json& json) {
  std::size_t deepest = 0;
  for (const Json& item : json.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

// Puts the value in place of another one, which keeps its name.
void put(Json& target, Json value) {
  value.name = std::move(target.name);
  target = std::move(value);
}

Outcome add_item(Json& array, const std::string& token, Json& value) {
  const auto index = token == "-" ? array.items.size() : parse_index(token);
  if (!index || *index > array.items.size()) return Outcome::missing;
  value.name.clear();
  array.items.insert(array.items.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
  return Outcome::done;
}

// Takes the value if it finds a place for it.
Outcome add(Json& document, const JsonPointer& path, Json& value) {
  if (path.tokens().empty()) {
    put(document, std::move(value));
    return Outcome::done;
  }
  Json* parent = path.find_parent(document);
  if (parent == nullptr) return Outcome::missing;
  const std::string& token = path.tokens().back();
  if (parent->kind == Json::Kind::array) return add_item(*parent, token, value);
  if (parent->kind != Json::Kind::object) return Outcome::missing;
  if (Json* there = parent->find(token)) {
    put(*there, std::move(value));
    return Outcome::done;
  }
  value.name = token;
  parent->items.push_back(std::move(value));
  return Outcome::done;
}

// Of the document itself null is left.
Outcome remove(Json& document, const JsonPointer& path) {
  Json* found = path.find(document);
  if (found == nullptr) return Outcome::missing;
  if (path.tokens().empty()) {
    document = Json();
    return Outcome::done;
  }
  auto& items = path.find_parent(document)->items;
  items.erase(items.begin() + (found - items.data()));
  return Outcome::done;
}

Outcome move(Json& document, const JsonPointer& from, const JsonPointer& path) {
  Json* found = from.find(document);
  if (found == nullptr) return Outcome::missing;
  if (from.tokens().empty()) return Outcome::done;  // nowhere but to its own place
  auto* items = &from.find_parent(document)->items;
  const auto index = found - items->data();
  Json value = std::move(*found);
  items->erase(items->begin() + index);
  const Outcome outcome = add(document, path, value);
  // Nothing else has changed, so that its place is where it was.
  if (outcome != Outcome::done) items->insert(items->begin() + index, std::move(value));
  return outcome;
}

Outcome copy(Json& document,
             const JsonPointer& from,
             const JsonPointer& path,
             const JsonLimits& limits) {
  const Json* found = from.find(document);
  if (found == nullptr) return Outcome::missing;
  const bool fits = count_values(document) + count_values(*found) <= limits.values() &&
                    path.tokens().size() + depth_of(*found) <= limits.depth + 1;
  if (!fits) return Outcome::too_large;
  Json value = *found;
  return add(document, path, value);
}

Outcome replace(Json& document, const JsonPointer& path, Json value) {
  Json* found = path.find(document);
  if (found == nullptr) return Outcome::missing;
  put(*found, std::move(value));
  return Outcome::done;
}

Outcome test(const Json& document, const JsonPointer& path, const Json& value) {
  const Json* found = path.find(document);
  if (found == nullptr) return Outcome::missing;
  return is_equal(*found, value) ? Outcome::done : Outcome::different;
}

}  // namespace

void Unapplied::add(const std::string& rule, const Rendering& rendering) {
  reasons.push_back(rule + ": " + rendering.why());
  is_unreadable = is_unreadable || rendering.outcome == Rendering::Outcome::unreadable;
}

JsonPatch JsonPatch::compile(const std::vector<config::PatchOperation>& operations,
                             const std::string& setting,
                             const Scope& scope,
                             std::vector<RuleProblem>& problems) {
  JsonPatch out;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const config::PatchOperation& operation = operations[i];
    Step step{operation.op, {}, {}, {}, operation.optional, operation.path};
    if (auto path = JsonPointer::parse(operation.path)) step.path = std::move(*path);
    if (auto from = JsonPointer::parse(operation.from)) step.from = std::move(*from);
    step.value = JsonTemplate::compile(
        operation.value, setting + "[" + std::to_string(i) + "].value", scope, problems);
    out.steps_.push_back(std::move(step));
  }
  return out;
}

JsonPatch::Rendered JsonPatch::render(const Values& values, Unapplied& unapplied) const {
  Rendered rendered(steps_.size());
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Json value;
    if (const Rendering rendering = steps_[i].value.render(values, value); !rendering) {
      unapplied.add("json_patch[" + std::to_string(i) + "]", rendering);
    } else {
      rendered[i] = std::move(value);
    }
  }
  return rendered;
}

std::string JsonPatch::apply(Json& document,
                             const Rendered& rendered,
                             const JsonLimits& limits) const {
  const auto carry_out = [&](const Step& step, Json value) {
    switch (step.op) {
      case PatchOp::add:
        return add(document, step.path, value);
      case PatchOp::remove:
        return remove(document, step.path);
      case PatchOp::replace:
        return replace(document, step.path, std::move(value));
      case PatchOp::move:
        return move(document, step.from, step.path);
      case PatchOp::copy:
        return copy(document, step.from, step.path, limits);
      case PatchOp::test:
        return test(document, step.path, value);
    }
    return Outcome::missing;
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const bool is_passed_over = !rendered[i] && step.op != PatchOp::test;
    if (is_passed_over) continue;
    const Outcome outcome = rendered[i] ? carry_out(step, *rendered[i]) : Outcome::different;
    if (outcome == Outcome::done) continue;
    if (outcome == Outcome::missing && step.is_optional) continue;
    return "json_patch[" + std::to_string(i) + "]: " + name(step.op) + " '" + step.text +
           "': " + reason(outcome);
  }
  return "";
}

void merge_patch(Json& target, const Json& patch) {
  if (patch.kind != Json::Kind::object) {
    put(target, patch);
    return;
  }
  if (target.kind != Json::Kind::object) {
    put(target, Json());
    target.kind = Json::Kind::object;
  }
  for (const Json& member : patch.items) {
    Json* there = target.find(member.name);
    if (member.kind == Json::Kind::null) {
      if (there != nullptr)
        target.items.erase(target.items.begin() + (there - target.items.data()));
      continue;
    }
    if (there == nullptr) {
      there = &target.items.emplace_back();
      there->name = member.name;
    }
    merge_patch(*there, member);
  }
}

}  // namespace raincheck::routes
