// The test suite of the JSON Schema project, as Debian packages it (json-schema-test-suite): all of
// draft 6 and draft 7 that is required, and of what is optional the parts that are built.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "routes/json_schema.hpp"

using namespace raincheck::routes;

namespace {

const std::string root = "/usr/share/json-schema-test-suite/tests/";

constexpr std::string_view required[] = {
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "boolean_schema",
    "const",
    "contains",
    "default",
    "definitions",
    "dependencies",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "propertyNames",
    "ref",
    "refRemote",
    "required",
    "type",
    "uniqueItems",
};

// Not run: optional/content (encoded content), and what needs formats that are not checked: email,
// hostname, idn-*, iri*, regex (optional/ecmascript-regex too), relative-json-pointer, uri*.
constexpr std::string_view of_draft_7[] = {
    "if-then-else",
    "optional/bignum",
    "optional/zeroTerminatedFloats",
    "optional/format/date",
    "optional/format/date-time",
    "optional/format/ipv4",
    "optional/format/ipv6",
    "optional/format/json-pointer",
    "optional/format/time",
};

// What is known to be otherwise, by "draft/file: group", and why.
const std::set<std::string> remote = {
    // URLs are never fetched.
    "ref: remote ref, containing refs itself",
    "definitions: invalid definition",
    "definitions: valid definition",
    "refRemote: remote ref",
    "refRemote: fragment within remote ref",
    "refRemote: ref within remote ref",
    "refRemote: base URI change",
    "refRemote: base URI change - change folder",
    "refRemote: base URI change - change folder in subschema",
    "refRemote: root ref in remote ref",
};

std::string read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Count {
  int groups = 0;
  int tests = 0;
  std::vector<std::string> refused;  // groups whose schema is not read
  std::vector<std::string> wrong;    // tests with another answer
};

void run(const std::string& draft, std::string_view file, Count& count) {
  const std::string text = read(root + draft + "/" + std::string(file) + ".json");
  CAPTURE(file);
  const ParsedJson groups = parse_json(text);
  REQUIRE(groups);
  for (const Json& group : groups.value->items) {
    ++count.groups;
    const std::string title = std::string(file) + ": " + group.find("description")->text;
    const std::string schema_text = to_text(*group.find("schema"));
    std::vector<SchemaError> errors;
    const auto only_it = [&](const std::string& path) {
      return path == "schema.json" ? std::optional(schema_text) : std::nullopt;
    };
    const JsonSchema schema = JsonSchema::compile("schema.json", only_it, errors);
    if (!errors.empty()) {
      count.refused.push_back(title);
      continue;
    }
    for (const Json& test : group.find("tests")->items) {
      ++count.tests;
      const bool is_valid = schema.validate(*test.find("data")).empty();
      if (is_valid == test.find("valid")->is_true) continue;
      count.wrong.push_back(title + ": " + test.find("description")->text);
    }
  }
}

}  // namespace

TEST_CASE("JSON Schema: the project's own test suite, drafts 6 and 7") {
  for (const std::string draft : {"draft6", "draft7"}) {
    CAPTURE(draft);
    Count count;
    for (const std::string_view file : required) run(draft, file, count);
    if (draft == "draft7") {
      for (const std::string_view file : of_draft_7) run(draft, file, count);
    }
    for (const std::string& title : count.refused) {
      CAPTURE(title);
      CHECK(remote.count(title) == 1);
    }
    CHECK(count.refused.size() == remote.size());
    for (const std::string& title : count.wrong) {
      CAPTURE(title);
      CHECK(title == "");
    }
    MESSAGE(draft, ": ", count.groups, " groups, ", count.tests, " tests");
    CHECK(count.tests > (draft == "draft6" ? 380 : 460));
  }
}
