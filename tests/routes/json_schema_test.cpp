#include "routes/json_schema.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "routes/decimal.hpp"
#include "routes/json_schema_documents.hpp"

using namespace raincheck::routes;

namespace {

using Files = std::map<std::string, std::string>;

struct Compiled {
  std::string errors;
  JsonSchema schema;
};

Compiled compile(const Files& files, const std::string& path = "/s/main.json") {
  std::vector<SchemaError> errors;
  const auto read = [&](const std::string& file) {
    const auto found = files.find(file);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  };
  JsonSchema schema = JsonSchema::compile(path, read, errors);
  std::string text;
  for (const SchemaError& error : errors) text += error.text() + "\n";
  return {text, std::move(schema)};
}

std::string errors_of(const std::string& schema) {
  return compile({{"/s/main.json", schema}}).errors;
}

std::string problems_of(const JsonSchema& schema, std::string_view document) {
  std::string text;
  for (const SchemaProblem& problem : schema.validate(*parse_json(document).value)) {
    text += problem.pointer + " " + problem.message + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("a document gets all of its problems, each with its pointer") {
  const Compiled compiled = compile({{"/s/main.json", R"({
    "type": "object",
    "required": ["id", "customer"],
    "properties": {
      "id": { "type": "integer", "minimum": 1, "maximum": 9007199254740993 },
      "customer": { "type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-zé]+$" },
      "format": { "enum": ["pdf", "csv"] },
      "version": { "const": 2 },
      "price": { "type": ["number", "null"], "multipleOf": 0.01, "exclusiveMinimum": 0 },
      "lines": { "type": "array", "minItems": 1, "uniqueItems": true,
                 "items": { "$ref": "#/definitions/line" } },
      "when": { "format": "date" },
      "no": false
    },
    "patternProperties": { "^x-": { "type": "string" } },
    "additionalProperties": false,
    "dependencies": { "price": ["format"] },
    "definitions": { "line": {
      "required": ["a/b"],
      "properties": { "a/b": { "anyOf": [{ "type": "string" }, { "type": "null" }] } } } }
  })"}});
  REQUIRE(compiled.errors == "");
  const struct {
    std::string_view document;
    std::string_view expected;
  } cases[] = {
      {R"({"id":1,"customer":"ab"})", ""},
      {"[]", " must be of type object\n"},
      {"{}", "/id is required\n/customer is required\n"},
      {R"({"id":"1","customer":7,"x-y":1,"z":1,"no":1})",
       "/id must be of type integer\n/customer must be of type string\n/x-y must be of type "
       "string\n/z is not allowed\n/no is not allowed\n"},
      {R"({"id":0,"customer":"é"})",
       "/id must be at least 1\n/customer must have at least 2 characters\n"},
      {R"({"id":9007199254740994,"customer":"ab"})", "/id must be at most 9007199254740993\n"},
      {R"({"id":9007199254740993,"customer":"éééé"})", ""},
      {R"({"id":1.0,"customer":"ABCDE"})",
       "/customer must have at most 4 characters\n/customer must match the pattern ^[a-zé]+$\n"},
      {R"({"id":1,"customer":"ab","format":"doc","version":3})",
       "/format must be one of \"pdf\", \"csv\"\n/version must be 2\n"},
      {R"({"id":1,"customer":"ab","price":0.07})", "/format is required where there is 'price'\n"},
      {R"({"id":1,"customer":"ab","format":"pdf","price":0.075})",
       "/price must be a multiple of 0.01\n"},
      {R"({"id":1,"customer":"ab","format":"pdf","price":0})", "/price must be greater than 0\n"},
      {R"({"id":1,"customer":"ab","lines":[]})", "/lines must have at least 1 items\n"},
      {R"({"id":1,"customer":"ab","lines":[{"a/b":1},{"a/b":null},{}]})",
       "/lines/0/a~1b matches none of the schemas of 'anyOf'\n/lines/2/a~1b is required\n"},
      {R"({"id":1,"customer":"ab","lines":[{"a/b":"x","n":1},{"n":1.0,"a/b":"x"}]})",
       "/lines must not hold the same item twice\n"},
      {R"({"id":1,"customer":"ab","when":"2023-02-29"})", "/when must have the format date\n"},
  };
  for (const auto& row : cases) {
    const auto& [document, expected] = row;
    CAPTURE(row.document);
    CHECK(problems_of(compiled.schema, document) == expected);
  }
}

TEST_CASE("a schema may refer to other files, by path or by the names that they give themselves") {
  const Files files = {
      {"/s/main.json", R"({"properties":{"a":{"$ref":"common/types.json#/definitions/id"},
                           "b":{"$ref":"common/types.json#name"},"c":{"$ref":"#/properties/a"},
                           "d":{"$ref":"https://example.com/named.json"},
                           "e":{"$ref":"named.json#/definitions/x"},
                           "tree":{"$ref":"#"}}})"},
      {"/s/common/types.json", R"({"definitions":{"id":{"type":"integer"},
                                   "name":{"$id":"#name","type":"string"},
                                   "up":{"$ref":"../main.json#/properties/e"}}})"},
      {"/s/named.json", R"({"$id":"https://example.com/named.json","type":"boolean",
                            "definitions":{"x":{"$ref":"types2.json"}}})"},
      {"/s/types2.json", R"({"type":"null"})"},
  };
  const Compiled compiled = compile(files);
  // "d" stands before "e", which is what brings the named file in.
  CHECK(compiled.errors.find("/s/main.json#/properties/d/$ref: ") == 0);
  Files ordered = files;
  ordered["/s/main.json"] = R"({"properties":{"a":{"$ref":"common/types.json#/definitions/id"},
      "b":{"$ref":"common/types.json#name"},"c":{"$ref":"#/properties/a"},
      "e":{"$ref":"named.json#/definitions/x"},"tree":{"$ref":"#"},
      "z":{"$ref":"https://example.com/named.json"}}})";
  const Compiled good = compile(ordered);
  REQUIRE(good.errors == "");
  CHECK(problems_of(good.schema, R"({"a":"x","b":1,"c":"x","e":1,"z":1})") ==
        "/a must be of type integer\n/b must be of type string\n/c must be of type integer\n"
        "/e must be of type null\n/z must be of type boolean\n");
  CHECK(problems_of(good.schema, R"({"tree":{"tree":{"a":"x"}}})") ==
        "/tree/tree/a must be of type integer\n");
}

TEST_CASE("a schema that cannot be used says why and where") {
  const struct {
    std::string_view schema;
    std::string_view expected;
  } cases[] = {
      {"{", "/s/main.json: is not JSON: incomplete JSON at line 1, column 2\n"},
      {"7", "/s/main.json: a schema must be an object, true or false\n"},
      {R"({"type":"text"})", "/s/main.json#/type: \"text\" is not a type\n"},
      {R"({"type":[]})", "/s/main.json#/type: must be a type or a list of types\n"},
      {R"({"properties":{"a":{"minimum":"1"}}})",
       "/s/main.json#/properties/a/minimum: must be a number\n"},
      {R"({"minLength":-1})", "/s/main.json#/minLength: must be a whole number from 0 on\n"},
      {R"({"minLength":1.5})", "/s/main.json#/minLength: must be a whole number from 0 on\n"},
      {R"({"multipleOf":0})",
       "/s/main.json#/multipleOf: must be greater than 0 and have at most 9 digits\n"},
      {R"-({"pattern":"(?=a)"})-",
       "/s/main.json#/pattern: '(?=a)' is not a pattern that can be matched: invalid perl "
       "operator: (?=\n"},
      {R"-({"pattern":"(a)\\1"})-",
       "/s/main.json#/pattern: '(a)\\1' is not a pattern that can be matched: invalid escape "
       "sequence: \\1\n"},
      {R"({"required":"a"})", "/s/main.json#/required: must be a list of strings\n"},
      {R"({"required":[1]})", "/s/main.json#/required: must be a list of strings\n"},
      {R"({"anyOf":[]})", "/s/main.json#/anyOf: must not be empty\n"},
      {R"({"items":7})", "/s/main.json#/items: a schema must be an object, true or false\n"},
      {R"({"$schema":"https://json-schema.org/draft/2020-12/schema"})",
       "/s/main.json#/$schema: only draft 7 and draft 6 are read, not "
       "'https://json-schema.org/draft/2020-12/schema'\n"},
      {R"({"$ref":"#/definitions/x"})", "/s/main.json#/$ref: there is no '#/definitions/x'\n"},
      {R"({"$ref":"other.json"})",
       "/s/main.json: cannot read '/s/other.json': No such file or directory\n"},
      {R"({"$ref":"http://127.0.0.1/x"})",
       "/s/main.json#/$ref: 'http://127.0.0.1/x' is not the $id of a schema that was read, and no "
       "URL is ever fetched: name a file\n"},
      {R"({"$ref":"#"})",
       "/s/main.json: refers to itself without going into the value, or through more than 32 "
       "schemas\n"},
      {R"({"allOf":[{"not":{"$ref":"#"}}]})",
       "/s/main.json: refers to itself without going into the value, or through more than 32 "
       "schemas\n"},
      {R"({"type":5,"maximum":[],"enum":{}})",
       "/s/main.json#/type: must be a type or a list of types\n/s/main.json#/enum: must be a "
       "list\n/s/main.json#/maximum: must be a number\n"},
  };
  for (const auto& row : cases) {
    const auto& [schema, expected] = row;
    CAPTURE(row.schema);
    CHECK(errors_of(std::string(schema)) == expected);
  }
}

TEST_CASE("members may have the names of keywords") {
  const Compiled compiled = compile({{"/s/main.json", R"({"properties":{
      "enum":{"type":"string"},"const":{"type":"string"},"$id":{"type":"string"},
      "properties":{"properties":{"enum":{"type":"string"}}}}})"}});
  REQUIRE(compiled.errors == "");
  CHECK(problems_of(compiled.schema, R"({"enum":1,"const":1,"$id":1,"properties":{"enum":1}})") ==
        "/enum must be of type string\n/const must be of type string\n/$id must be of type "
        "string\n/properties/enum must be of type string\n");
}

TEST_CASE("the work for one document is bounded") {
  const Compiled doubling = compile({{"/s/main.json", R"({"oneOf":[
      {"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}},"required":["b"]}]})"}});
  REQUIRE(doubling.errors == "");
  std::string nested = "1";
  for (int i = 0; i < 40; ++i) nested = R"({"a":)" + nested + "}";
  CHECK(problems_of(doubling.schema, nested).find("is too complex to be checked") !=
        std::string::npos);

  const Compiled slow = compile({{"/s/main.json", R"-({"items":{"pattern":"^(a|aa)+$"}})-"}});
  REQUIRE(slow.errors == "");
  CHECK(problems_of(slow.schema, "[\"" + std::string(200'000, 'a') + "b\"]") ==
        "/0 must match the pattern ^(a|aa)+$\n");

  const Compiled many = compile({{"/s/main.json", R"({"items":{"type":"string"}})"}});
  std::string list = "[0";
  for (int i = 0; i < 10'000; ++i) list += ",0";
  CHECK(many.schema.validate(*parse_json(list + "]").value).size() == JsonSchema::problems_max);
}

TEST_CASE("numbers are compared exactly") {
  const auto order = [](std::string_view a, std::string_view b) {
    return Decimal(a) <=> Decimal(b);
  };
  CHECK(order("1", "1.000") == 0);
  CHECK(order("-0.0", "0e99") == 0);
  CHECK(order("1e-400", "0") > 0);
  CHECK(order("-1e-400", "0") < 0);
  CHECK(order("123456789012345678901", "123456789012345678900.9") > 0);
  CHECK(order("-2", "-10") > 0);
  CHECK(order("1e9999999999999999999", "1e400") > 0);
  CHECK(order("12e1", "1.2e2") == 0);
  CHECK(Decimal("1.20e1").is_integer());
  CHECK_FALSE(Decimal("1.25e1").is_integer());
  const auto is_multiple = [](std::string_view a, std::string_view b) {
    return Decimal(a).is_multiple_of(Decimal(b));
  };
  CHECK(is_multiple("0.3", "0.1"));
  CHECK(is_multiple("4.02", "0.01"));
  CHECK(is_multiple("1e300", "7e299") == false);
  CHECK(is_multiple("7e300", "0.7"));
  CHECK(is_multiple("12345678901234567890", "3"));
  CHECK_FALSE(is_multiple("12345678901234567891", "3"));
  CHECK_FALSE(is_multiple("0.35", "0.1"));
  CHECK(is_multiple("0", "3"));
  CHECK(is_multiple("-9", "3"));
}

TEST_CASE("references are resolved as RFC 3986 has it") {
  const struct {
    std::string_view base;
    std::string_view reference;
    std::string_view expected;
  } cases[] = {
      {"/a/b/c.json", "d.json", "/a/b/d.json"},
      {"/a/b/c.json", "../d.json", "/a/d.json"},
      {"/a/b/c.json", "../../../d.json", "/d.json"},
      {"/a/b/c.json", "", "/a/b/c.json"},
      {"/a/b/c.json#x", "", "/a/b/c.json"},
      {"/a/b/c.json", "/d.json", "/d.json"},
      {"c.json", "d/../e.json", "e.json"},
      {"c.json", "../e.json", "../e.json"},
      {"http://h/a/b", "c", "http://h/a/c"},
      {"http://h/a/b", "c/", "http://h/a/c/"},
      {"http://h", "c", "http://h/c"},
      {"http://h/a/b", "//i/c", "http://i/c"},
      {"http://h/a/b", "urn:x:y", "urn:x:y"},
  };
  for (const auto& row : cases) {
    const auto& [base, reference, expected] = row;
    CAPTURE(row.base);
    CAPTURE(row.reference);
    CHECK(resolve_reference(base, reference) == expected);
  }
}
