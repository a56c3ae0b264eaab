#include "config/yaml.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace raincheck::config;

namespace {

// The first complaint as "line:column message", or nothing.
std::string complaint(std::string_view text, const yaml::Limits& limits = {}) {
  const auto document = yaml::parse("x.yaml", text, limits);
  if (document.diagnostics.empty()) return "";
  const Diagnostic& first = document.diagnostics.front();
  return std::to_string(first.place.line) + ":" + std::to_string(first.place.column) + " " +
         first.message;
}

}  // namespace

TEST_CASE("a document becomes a tree with places that count from one") {
  const auto document = yaml::parse("x.yaml", "a: 1\nb:\n  - 'two'\n  - {c: d}\ne:\n");
  REQUIRE(document.diagnostics.empty());
  const yaml::Value& root = document.root;
  REQUIRE(root.entries.size() == 3);
  CHECK(root.entries[0].value.text == "1");
  CHECK_FALSE(root.entries[0].value.is_quoted);
  const yaml::Value& list = root.entries[1].value;
  REQUIRE(list.items.size() == 2);
  CHECK(list.items[0].is_quoted);
  CHECK(list.items[0].place.file == "x.yaml");
  CHECK(list.items[0].place.line == 3);
  CHECK(list.items[0].place.column == 5);
  CHECK(list.items[1].entries[0].key.text == "c");
  CHECK(root.entries[2].value.kind == yaml::Kind::null);
  CHECK(root.entries[2].value.place.line == 5);  // of its key, not of what follows
}

TEST_CASE("what YAML takes and people did not mean is refused") {
  const struct {
    std::string_view text;
    std::string_view expected;
  } cases[] = {
      {"", "1:1 the file is empty"},
      {"# only words\n", "1:1 the file is empty"},
      {"a: 1\nb: 2\na: 3\n", "3:1 'a' is here twice: first at line 1, column 1"},
      {"x: {a: 1, a: 2}\n", "1:11 'a' is here twice: first at line 1, column 5"},
      {"a: \"x\nb: 1\n", "1:4 this quote is never closed"},
      {"a: 'x\nb: 1\n", "1:4 this quote is never closed"},
      {"a: 1\nb: \"", "2:4 this quote is never closed"},
      {"a: 1\n---\nb: 2\n", "2:1 a second document begins here; a file holds one"},
      {"a: 1\n...\n---\n", "3:1 a second document begins here; a file holds one"},
      {"a: !!int 3\n", "1:4 tags such as 'tag:yaml.org,2002:int' are not used here"},
      {"a: !mine {b: c}\n", "1:4 tags such as '!mine' are not used here"},
      {"? [a]\n: b\n", "1:3 a key must be a plain word"},
      {"a: *b\n", "1:4 not YAML: the referenced anchor is not defined"},
      {"a: &x [*x]\n", "1:8 an alias stands inside of what it names"},
      {"a:\n\tb: 1\n", "2:3 not YAML: illegal map value"},
      {"a: [1, 2\n", "2:1 not YAML: end of sequence flow not found"},
      {"a: b: c\n", "1:5 not YAML: illegal map value"},
      {"a: \x01\n", "1:4 a control character"},
      {std::string_view("a: \0\n", 5), "1:4 a control character"},
      {"a: b\rc: d\n", "1:5 a carriage return stands alone"},
      {"a: \xFF\n", "1:4 the file is not UTF-8"},
      {"\xC3\xA4: \xC3", "1:5 the file is not UTF-8"},
      {"a: \xED\xA0\x80\n", "1:4 the file is not UTF-8"},
      {"a: \xC0\x80\n", "1:4 the file is not UTF-8"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(complaint(c.text) == c.expected);
  }
}

TEST_CASE("what is good YAML is taken") {
  for (const std::string_view text :
       {"a: 1",
        "\xEF\xBB\xBF"
        "a: 1\n",
        "a: 1\r\nb: 2\r\n", "---\na: 1\n", "\xC3\xA4: \xE2\x82\xAC\n", "a: &x {b: 1}\nc: *x\n",
        "a: |\n  two\n  lines\n", "a: 'it''s'\n", "a: \"# end of file\"\n",
        "%YAML 1.2\n---\na: 1\n"}) {
    CAPTURE(text);
    CHECK(complaint(text) == "");
  }
}

TEST_CASE("aliases are written out, with the places of what they name") {
  const auto document = yaml::parse("x.yaml", "a: &x {b: 1}\nc: *x\n");
  REQUIRE(document.root.entries.size() == 2);
  const yaml::Value& copy = document.root.entries[1].value;
  REQUIRE(copy.entries.size() == 1);
  CHECK(copy.entries[0].value.text == "1");
  CHECK(copy.entries[0].value.place.line == 1);
}

TEST_CASE("what grows out of little text is bounded") {
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i)
      laughs += std::string(i > 0 ? "," : "") + "*" + static_cast<char>(c - 1);
    laughs += "]\n";
  }
  CHECK(complaint(laughs).find("too large once its aliases are written out") != std::string::npos);

  std::string wide = "a: &a " + std::string(1'000'000, 'x') + "\nb: [";
  for (int i = 0; i < 1000; ++i) wide += "*a, ";
  CHECK(complaint(wide + "]\n").find("too large once") != std::string::npos);

  CHECK(complaint(std::string(100'000, '[')).find("nested too deeply") != std::string::npos);
}

TEST_CASE("each limit holds at the limit and not one beyond") {
  yaml::Limits limits;
  limits.depth = 3;
  CHECK(complaint("[[[x]]]", limits) == "");
  CHECK(complaint("[[[[x]]]]", limits) == "1:4 nested too deeply");
  limits = {};
  limits.nodes = 4;
  CHECK(complaint("[1, 2, 3]", limits) == "");
  CHECK(complaint("[1, 2, 3, 4]", limits) != "");
  limits = {};
  limits.bytes = 10;
  CHECK(complaint("a: 3456789", limits) == "");
  CHECK(complaint("a: 34567890", limits) == "1:1 the file is larger than 16 MiB");
}
