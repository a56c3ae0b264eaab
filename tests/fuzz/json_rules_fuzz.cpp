// JSON from strangers: what is read is written so that it reads the same; patches of any kind leave
// a document or say why not; schemas and documents of any kind are compiled, checked and bounded.
// The input is JSON texts on lines of their own: a document, a patch, a merge patch, a schema.
#include "routes/json.hpp"
#include "routes/json_patch.hpp"
#include "routes/json_schema.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::routes;
using raincheck::config::PatchOp;
using raincheck::config::PatchOperation;
using raincheck::fuzz::require;

namespace {

std::string_view take_line(std::string_view& input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  input.remove_prefix(std::min(line.size() + 1, input.size()));
  return line;
}

std::string text_of(const Json& operation, std::string_view name) {
  const Json* found = operation.find(name);
  return found != nullptr ? found->text : "";
}

// Operations as the configuration would let them through.
std::vector<PatchOperation> operations(const Json& patch) {
  std::vector<PatchOperation> all;
  for (const Json& item : patch.items) {
    PatchOperation operation;
    const std::string op = text_of(item, "op");
    constexpr std::pair<const char*, PatchOp> words[] = {
        {"add", PatchOp::add},   {"remove", PatchOp::remove}, {"replace", PatchOp::replace},
        {"move", PatchOp::move}, {"copy", PatchOp::copy},     {"test", PatchOp::test}};
    for (const auto& [word, value] : words) {
      if (op == word) operation.op = value;
    }
    operation.path = text_of(item, "path");
    operation.from = text_of(item, "from");
    const auto path = JsonPointer::parse(operation.path);
    const auto from = JsonPointer::parse(operation.from);
    if (!path || !from) continue;
    const bool is_inside = from->is_prefix_of(*path) && operation.path != operation.from;
    if (operation.op == PatchOp::move && is_inside) continue;
    const Json* value = item.find("value");
    operation.value.json = value != nullptr ? to_text(*value) : "null";
    operation.optional = item.find("optional") != nullptr;
    all.push_back(operation);
  }
  return all;
}

void patch_document(Json document, const Json& patch) {
  std::vector<RuleProblem> problems;
  const JsonPatch compiled = JsonPatch::compile(operations(patch), "json_patch", {}, problems);
  Unapplied unapplied;
  if (!compiled.apply(document, compiled.render({}, unapplied)).empty()) return;
  require(parse_json(to_text(document), {std::size_t{1} << 24, 256}).value.has_value(),
          "what a patch leaves is JSON");
}

void check_document(const Json& document, std::string_view schema) {
  std::vector<SchemaError> errors;
  const JsonSchema compiled = JsonSchema::compile(
      "a.json",
      [&](const std::string& path) -> std::optional<std::string> {
        if (path != "a.json") return std::nullopt;
        return std::string(schema);
      },
      errors);
  if (!errors.empty()) return;
  require(compiled.validate(document).size() <= JsonSchema::problems_max + 1,
          "problems have a limit");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = take_line(input);
  const ParsedJson document = parse_json(text);
  parse_json_beginning(text);
  if (!document) return 0;
  require(parse_json_beginning(text).value.has_value(), "a whole text begins well");
  const std::string written = to_text(*document.value);
  const ParsedJson again = parse_json(written);
  require(again && to_text(*again.value) == written, "what is written reads the same");
  require(is_equal(*document.value, *again.value), "and is equal");
  require(canonical(*document.value) == canonical(*again.value), "and has the same canonical form");
  if (const ParsedJson patch = parse_json(take_line(input))) {
    patch_document(*document.value, *patch.value);
  }
  if (const ParsedJson patch = parse_json(take_line(input))) {
    Json merged = *document.value;
    merge_patch(merged, *patch.value);
    Json twice = merged;
    merge_patch(twice, *patch.value);
    require(is_equal(merged, twice), "a merge patch applied twice is the same as once");
  }
  check_document(*document.value, take_line(input));
  return 0;
}
