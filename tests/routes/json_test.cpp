#include "routes/json.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "routes/json_pointer.hpp"

using namespace raincheck::routes;

namespace {

std::string why(std::string_view text, const JsonLimits& limits = {}) {
  const ParsedJson parsed = parse_json(text, limits);
  return parsed ? "" : parsed.why;
}

}  // namespace

TEST_CASE("JSON comes out as it went in: numbers as written, members in order") {
  const std::string_view texts[] = {
      "null",
      "true",
      "-0",
      "0.10",
      "1E5",
      "1e400",
      "-1.5e-400",
      "18446744073709551616",
      "-9223372036854775809",
      "3.141592653589793238462643383279",
      "123456789012345678901234567890.123456789012345678901234567890e-7",
      R"("")",
      R"("a\"b\\c\n\u0000d/é😀")",
      "[]",
      "{}",
      R"([1,[2,{"a":3}],"x"])",
      R"({"z":1,"a":2,"":3,"m":{"b":[],"a":{}}})",
  };
  for (const std::string_view text : texts) {
    CAPTURE(text);
    const ParsedJson parsed = parse_json(text);
    REQUIRE(parsed);
    CHECK(to_text(*parsed.value) == text);
  }
  CHECK(to_text(*parse_json(" { \"a\" : [ 1 , \"\\u00e9\\/\" ] }\n").value) == R"({"a":[1,"é/"]})");
}

TEST_CASE("what is not JSON is refused, with its place") {
  CHECK(why("") == "it is empty at line 1, column 1");
  CHECK(why("{\n  \"a\": 1,\n}") == "syntax error at line 3, column 1");
  for (const std::string_view text :
       {"{", "[1,]", "01", "+1", "1.", ".5", "nul", "'a'", "// x\n1", "1 2", "\"\t\"", "\"\xff\"",
        "\"\\ud800\"", "NaN", "{\"a\" 1}", "\xEF\xBB\xBF{}"}) {
    CAPTURE(text);
    CHECK(why(text) != "");
  }
  CHECK(why(R"({"a":1,"b":2,"a":3})").find("the member 'a' is there twice") == 0);
  CHECK(why(R"([{"a":{"b":1,"b":1}}])").find("the member 'b' is there twice") == 0);
  CHECK(why(R"({"a":1,"\u0061":3})").find("the member 'a' is there twice") == 0);
}

TEST_CASE("a text has a limit in bytes, in depth and in values") {
  JsonLimits limits;
  limits.depth = 3;
  CHECK(why("[[[1]]]", limits) == "");
  CHECK(why("[[[[1]]]]", limits).find("it is nested too deeply") == 0);
  limits.bytes = 8;
  CHECK(why("[1,2,34]", limits) == "");
  CHECK(why("[1,2,345]", limits) == "it is longer than 8 bytes");
  limits.bytes = 1000;
  const auto list = [](std::size_t count) {
    std::string text = "[1";
    for (std::size_t i = 1; i < count; ++i) text += ",1";
    return text + "]";
  };
  CHECK(why(list(limits.values() - 1), limits) == "");
  CHECK(why(list(limits.values()), limits).find("it holds too many values") == 0);
}

TEST_CASE("of a text that was cut off, what is whole is read") {
  const std::string text = R"({"a":{"b":12,"c":"xy"},"d":[true,34]})";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    CAPTURE(text.substr(0, size));
    const ParsedJson parsed = parse_json_beginning(text.substr(0, size));
    REQUIRE(parsed);
    const auto is_there = [&](std::string_view pointer) {
      return JsonPointer::parse(pointer)->find(*parsed.value) != nullptr;
    };
    CHECK(is_there("/a/b") == (size >= text.find(",\"c\"") + 1));
    CHECK(is_there("/a/c") == (size >= text.find("xy") + 3));
    CHECK(is_there("/d/1") == (size >= text.find("34") + 3));
  }
  CHECK_FALSE(parse_json_beginning("{\"a\":1]"));
}

TEST_CASE("values are equal by what they mean") {
  const struct {
    std::string_view a;
    std::string_view b;
    bool expected;
  } cases[] = {
      {"1", "1.0", true},
      {"100", "1e2", true},
      {"-0", "0", true},
      {"0.1", "0.10000000000000000000000000000001", false},
      {"9007199254740993", "9007199254740992", false},
      {"1e1000", "1e1001", false},
      {"1e1000", "10e999", true},
      {"1", "\"1\"", false},
      {"0", "false", false},
      {"null", "false", false},
      {R"({"a":1,"b":[2]})", R"({"b":[2.0],"a":1})", true},
      {R"({"a":1})", R"({"a":1,"b":2})", false},
      {R"({"a":1})", R"({"b":1})", false},
      {"[1,2]", "[2,1]", false},
      {"[[]]", "[{}]", false},
      {R"(["a","b"])", R"(["a,b"])", false},
      {R"(["a\",\"b"])", R"(["a","b"])", false},
  };
  for (const auto& row : cases) {
    const auto& [a, b, expected] = row;
    CAPTURE(row.a);
    CAPTURE(row.b);
    const Json left = *parse_json(a).value;
    const Json right = *parse_json(b).value;
    CHECK(is_equal(left, right) == expected);
    CHECK(is_equal(right, left) == expected);
    CHECK((canonical(left) == canonical(right)) == expected);
  }
}

TEST_CASE("a pointer finds what RFC 6901 section 5 says") {
  const Json document = *parse_json(R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,
                                        "i\\j":5,"k\"l":6," ":7,"m~n":8})")
                             .value;
  const struct {
    std::string_view pointer;
    std::string_view expected;  // empty: nothing is found
  } cases[] = {
      {"/foo", R"(["bar","baz"])"},
      {"/foo/0", R"("bar")"},
      {"/", "0"},
      {"/a~1b", "1"},
      {"/c%d", "2"},
      {"/e^f", "3"},
      {"/g|h", "4"},
      {"/i\\j", "5"},
      {"/k\"l", "6"},
      {"/ ", "7"},
      {"/m~0n", "8"},
      {"/foo/2", ""},
      {"/foo/-", ""},
      {"/foo/00", ""},
      {"/foo/01", ""},
      {"/foo/+1", ""},
      {"/foo/1e0", ""},
      {"/foo/99999999999999999999", ""},
      {"/foo/0/x", ""},
      {"/bar", ""},
  };
  for (const auto& row : cases) {
    const auto& [pointer, expected] = row;
    CAPTURE(row.pointer);
    const auto parsed = JsonPointer::parse(pointer);
    REQUIRE(parsed);
    const Json* found = parsed->find(document);
    CHECK((found == nullptr ? "" : to_text(*found)) == expected);
  }
  CHECK(JsonPointer::parse("")->find(document) == &document);
  for (const std::string_view bad : {"foo", "/~", "/a~2", "/a~", "#/a"}) {
    CAPTURE(bad);
    CHECK_FALSE(JsonPointer::parse(bad));
  }
  std::string pointer;
  append_pointer_token(pointer, "a/b~c");
  CHECK(pointer == "/a~1b~0c");
}
