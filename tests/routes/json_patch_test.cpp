#include "routes/json_patch.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/routes/templates.hpp"

using namespace raincheck::routes;
using raincheck::config::PatchOp;
using raincheck::config::PatchOperation;

namespace {

PatchOp op_of(std::string_view word) {
  for (const auto& [op, text] : {std::pair{PatchOp::add, "add"},
                                 {PatchOp::remove, "remove"},
                                 {PatchOp::replace, "replace"},
                                 {PatchOp::move, "move"},
                                 {PatchOp::copy, "copy"}}) {
    if (word == text) return op;
  }
  return PatchOp::test;
}

// As the reader of the configuration makes it of the same list in YAML.
std::vector<PatchOperation> operations(std::string_view patch) {
  std::vector<PatchOperation> all;
  const Json list = *parse_json(patch).value;
  for (const Json& item : list.items) {
    PatchOperation& operation = all.emplace_back();
    operation.op = op_of(item.find("op")->text);
    operation.path = item.find("path")->text;
    if (const Json* from = item.find("from")) operation.from = from->text;
    if (const Json* value = item.find("value")) operation.value = tests::json_of(to_text(*value));
    if (const Json* optional = item.find("optional")) operation.optional = optional->is_true;
  }
  return all;
}

JsonPatch compile(const std::vector<PatchOperation>& operations) {
  std::vector<RuleProblem> problems;
  JsonPatch patch = JsonPatch::compile(operations, "json_patch", {}, problems);
  REQUIRE(problems.empty());
  return patch;
}

// Applies the patch as a request without any values would have it.
std::string apply(const JsonPatch& patch, Json& document, const JsonLimits& limits = {}) {
  Unapplied unapplied;
  return patch.apply(document, patch.render({}, unapplied), limits);
}

// The document after the patch, or "! " and why there is none.
std::string patched(std::string_view document, std::string_view patch) {
  Json json = *parse_json(document).value;
  const std::string why = apply(compile(operations(patch)), json);
  return why.empty() ? to_text(json) : "! " + why;
}

std::string merged(std::string_view target, std::string_view patch) {
  Json json = *parse_json(target).value;
  merge_patch(json, *parse_json(patch).value);
  return to_text(json);
}

}  // namespace

TEST_CASE("JSON Patch does what RFC 6902 appendix A says") {
  const struct {
    std::string_view section;
    std::string_view document;
    std::string_view patch;
    std::string_view expected;
  } cases[] = {
      {"A.1", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])",
       R"({"foo":"bar","baz":"qux"})"},
      {"A.2", R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
       R"({"foo":["bar","qux","baz"]})"},
      {"A.3", R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])",
       R"({"foo":"bar"})"},
      {"A.4", R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])",
       R"({"foo":["bar","baz"]})"},
      {"A.5", R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])",
       R"({"baz":"boo","foo":"bar"})"},
      {"A.6", R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
       R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
       R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
      {"A.7", R"({"foo":["all","grass","cows","eat"]})",
       R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
       R"({"foo":["all","cows","eat","grass"]})"},
      {"A.8", R"({"baz":"qux","foo":["a",2,"c"]})",
       R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
       R"({"baz":"qux","foo":["a",2,"c"]})"},
      {"A.9", R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])",
       "! json_patch[0]: test '/baz': the value is another one"},
      {"A.10", R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])",
       R"({"foo":"bar","child":{"grandchild":{}}})"},
      {"A.11", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])",
       R"({"foo":"bar","baz":"qux"})"},
      {"A.12", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])",
       "! json_patch[0]: add '/baz/bat': there is no such value"},
      // A.13 is a patch with two "op", which the reader of the configuration refuses
      {"A.14", R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])",
       R"({"/":9,"~1":10})"},
      {"A.15", R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])",
       "! json_patch[0]: test '/~01': the value is another one"},
      {"A.16", R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
       R"({"foo":["bar",["abc","def"]]})"},
  };
  for (const auto& row : cases) {
    const auto& [section, document, patch, expected] = row;
    CAPTURE(row.section);
    CHECK(patched(document, patch) == expected);
  }
}

TEST_CASE("operations at the edges") {
  const struct {
    std::string_view document;
    std::string_view patch;
    std::string_view expected;
  } cases[] = {
      {"{}", R"([{"op":"add","path":"","value":[1]}])", "[1]"},
      {"[1]", R"([{"op":"replace","path":"","value":{"a":2}}])", R"({"a":2})"},
      {"[1]", R"([{"op":"remove","path":""}])", "null"},
      {"[1]", R"([{"op":"move","from":"","path":""}])", "[1]"},
      {"[1]", R"([{"op":"copy","from":"","path":"/0"}])", "[[1],1]"},
      {R"({"a":1})", R"([{"op":"copy","from":"","path":"/b"}])", R"({"a":1,"b":{"a":1}})"},
      {R"({"a":1,"b":2})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"},
      {R"({"a":1,"b":2})", R"([{"op":"move","from":"/a","path":"/a"}])", R"({"b":2,"a":1})"},
      {R"({"a":[1,2]})", R"([{"op":"move","from":"/a","path":""}])", "[1,2]"},
      {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":"/a"}])", R"({"a":1})"},
      {R"({"a":1})", R"([{"op":"add","path":"/a","value":null}])", R"({"a":null})"},
      {"[1,2]", R"([{"op":"add","path":"/2","value":3}])", "[1,2,3]"},
      {"[1,2]", R"([{"op":"add","path":"/3","value":3}])",
       "! json_patch[0]: add '/3': there is no such value"},
      {"[1,2]", R"([{"op":"add","path":"/01","value":3}])",
       "! json_patch[0]: add '/01': there is no such value"},
      {"[1,2]", R"([{"op":"remove","path":"/-"}])",
       "! json_patch[0]: remove '/-': there is no such value"},
      {"[1,2]", R"([{"op":"replace","path":"/2","value":3}])",
       "! json_patch[0]: replace '/2': there is no such value"},
      {R"("x")", R"([{"op":"add","path":"/a","value":3}])",
       "! json_patch[0]: add '/a': there is no such value"},
      {"{}", R"([{"op":"copy","from":"/a","path":"/b"}])",
       "! json_patch[0]: copy '/b': there is no such value"},
      {R"({"a":[1.0,{"b":1e2,"c":2}]})",
       R"([{"op":"test","path":"/a","value":[1,{"c":2,"b":100}]}])",
       R"({"a":[1.0,{"b":1e2,"c":2}]})"},
      // all or nothing, and which one it was
      {"{}", R"([{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}])",
       "! json_patch[1]: remove '/b': there is no such value"},
  };
  for (const auto& row : cases) {
    const auto& [document, patch, expected] = row;
    CAPTURE(row.patch);
    CHECK(patched(document, patch) == expected);
  }
}

TEST_CASE("what no operation touches stays as it was written") {
  CHECK(patched(R"({"id":12345678901234567890123,"sum":0.10,"e":1E+2,"old":1,"z":-0})",
                R"([{"op":"remove","path":"/old"},{"op":"copy","from":"/sum","path":"/copy"}])") ==
        R"({"id":12345678901234567890123,"sum":0.10,"e":1E+2,"z":-0,"copy":0.10})");
}

TEST_CASE(
    "an optional operation is skipped where its target is missing, and leaves all as it was") {
  const struct {
    std::string_view patch;
    std::string_view expected;
  } cases[] = {
      {R"([{"op":"remove","path":"/x","optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"replace","path":"/x","value":1,"optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"add","path":"/x/y","value":1,"optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"test","path":"/x","value":1,"optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"copy","from":"/x","path":"/y","optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"move","from":"/x","path":"/y","optional":true}])", R"({"a":[1,2],"b":3})"},
      // its target is there, and the place to put it is not: nothing is lost
      {R"([{"op":"move","from":"/a/0","path":"/x/y","optional":true}])", R"({"a":[1,2],"b":3})"},
      {R"([{"op":"move","from":"/a","path":"/x/y","optional":true}])", R"({"a":[1,2],"b":3})"},
      // the ones after it are carried out
      {R"([{"op":"remove","path":"/x","optional":true},{"op":"remove","path":"/b"}])",
       R"({"a":[1,2]})"},
      // another value is not a missing one
      {R"([{"op":"test","path":"/b","value":4,"optional":true}])",
       "! json_patch[0]: test '/b': the value is another one"},
  };
  for (const auto& row : cases) {
    const auto& [patch, expected] = row;
    CAPTURE(row.patch);
    CHECK(patched(R"({"a":[1,2],"b":3})", patch) == expected);
  }
}

TEST_CASE("values are put into strings, and cannot leave them") {
  const JsonPatch patch = compile(operations(R"([
    {"op":"add","path":"/a","value":{"x":"${request.host}","y":["${job.id}/z",1]}},
    {"op":"add","path":"/missing/b","value":"${job.id}","optional":true},
    {"op":"add","path":"/c","value":"${request.id}"},
    {"op":"add","path":"/d","value":"$${request.id}"}])"));
  Values values;
  values.host = R"(","evil":")";
  values.job_id = "2";
  values.request_id = "\\\xff";
  Unapplied unapplied;
  Json json = *parse_json("{}").value;
  CHECK(patch.apply(json, patch.render(values, unapplied)) == "");
  CHECK(unapplied.reasons.empty());
  CHECK(to_text(json) ==
        "{\"a\":{\"x\":\"\\\",\\\"evil\\\":\\\"\",\"y\":[\"2/z\",1]},"
        "\"c\":\"\\\\\xef\xbf\xbd\",\"d\":\"${request.id}\"}");
}

TEST_CASE("an operation without its value is passed over, but a test fails") {
  const JsonPatch patch = compile(operations(R"([
    {"op":"replace","path":"/a","value":["x","${job.id}"]},
    {"op":"add","path":"/b","value":"${job.id:-none}"}])"));
  Unapplied unapplied;
  Json json = *parse_json(R"({"a":1})").value;
  CHECK(patch.apply(json, patch.render({}, unapplied)) == "");
  CHECK(to_text(json) == R"({"a":1,"b":"none"})");
  CHECK(unapplied.reasons ==
        std::vector<std::string>{"json_patch[0]: the request has no '${job.id}'"});
  CHECK_FALSE(unapplied.is_unreadable);
  const auto guarded = R"([{"op":"test","path":"/a","value":"${job.id}","optional":true}])";
  CHECK(patched(R"({"a":1})", guarded) == "! json_patch[0]: test '/a': the value is another one");
}

TEST_CASE("a document cannot be copied beyond the limits") {
  std::vector<PatchOperation> doubling(40,
                                       operations(R"([{"op":"copy","from":"","path":"/0"}])")[0]);
  Json json = *parse_json("[1]").value;
  CHECK(apply(compile(doubling), json).find("the document would grow too large") !=
        std::string::npos);
  Json nested = *parse_json("[[1]]").value;
  JsonLimits limits;
  limits.depth = 3;
  const auto deeper = operations(R"([{"op":"copy","from":"","path":"/0/0"}])");
  CHECK(apply(compile(deeper), nested, limits) != "");
  limits.depth = 4;
  CHECK(apply(compile(deeper), nested, limits) == "");
}

TEST_CASE("a merge patch does what RFC 7386 appendix A says") {
  const struct {
    std::string_view target;
    std::string_view patch;
    std::string_view expected;
  } cases[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", "{}"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", "null", "null"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {"[1,2]", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      // section 3
      {R"({"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},
           "tags":["example","sample"],"content":"This will be unchanged"})",
       R"({"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},
           "tags":["example"]})",
       R"({"title":"Hello!","author":{"givenName":"John"},"tags":["example"],)"
       R"("content":"This will be unchanged","phoneNumber":"+01-123-456-7890"})"},
  };
  for (const auto& row : cases) {
    const auto& [target, patch, expected] = row;
    CAPTURE(row.target);
    CAPTURE(row.patch);
    CHECK(merged(target, patch) == expected);
  }
}
