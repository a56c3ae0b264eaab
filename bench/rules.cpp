// raincheck-bench-rules: how fast the rules for bodies are by themselves, without a network.
//   usage: raincheck-bench-rules [MIB]      of body for each text substitution; 256 by default
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cpu_time.hpp"
#include "routes/body_rules.hpp"
#include "routes/json_schema.hpp"
#include "routes/replacer.hpp"
#include "routes/request_check.hpp"

using namespace raincheck;

namespace {

constexpr std::size_t piece_bytes = 65'536;

// A page of a legacy application: a link every 200 bytes or so, none of which need be replaced.
std::string page(std::string_view link) {
  std::string text;
  for (int i = 0; text.size() < (std::size_t{4} << 20); ++i) {
    text += "<tr class=\"row\"><td>" + std::to_string(i * 7919) +
            "</td><td>The quick brown fox jumps over the lazy dog, and then over the hare</td><td>";
    text += link;
    text += "/reports/" + std::to_string(i) + "\">show</a></td></tr>\n";
  }
  return text;
}

double seconds_of(const auto& work) {
  const auto before = bench::own_cpu_time();
  work();
  return std::chrono::duration<double>(bench::own_cpu_time() - before).count();
}

void replace(const char* what,
             const std::string& text,
             const std::vector<std::string>& needles,
             std::size_t mib) {
  const routes::Needles compiled(needles);
  routes::Replacer replacer(compiled, std::vector<std::string>(needles.size(), "https://new"));
  std::string out;
  const double seconds = seconds_of([&] {
    for (std::size_t done = 0; done < mib << 20; done += piece_bytes) {
      out.clear();
      replacer.write(std::string_view(text).substr(done % text.size(), piece_bytes), out);
    }
  });
  std::printf("replace, %-34s %7.0f MiB/s, %llu replaced\n", what,
              static_cast<double>(mib) / seconds,
              static_cast<unsigned long long>(replacer.count()));
}

constexpr std::string_view schema_text = R"({
  "type": "object",
  "required": ["customer", "from", "to", "lines"],
  "additionalProperties": false,
  "properties": {
    "customer": { "type": "string", "pattern": "^[A-Z]{2}[0-9]{6}$" },
    "from": { "type": "string", "format": "date" },
    "to": { "type": "string", "format": "date" },
    "format": { "enum": ["pdf", "csv", "xlsx"] },
    "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
    "lines": {
      "type": "array", "minItems": 1, "maxItems": 100,
      "items": { "$ref": "#/definitions/line" }
    }
  },
  "definitions": {
    "line": {
      "type": "object",
      "required": ["sku", "count"],
      "additionalProperties": false,
      "properties": {
        "sku": { "type": "string", "minLength": 3, "maxLength": 20 },
        "count": { "type": "integer", "minimum": 1 },
        "price": { "type": "number", "multipleOf": 0.01 },
        "note": { "type": ["string", "null"] }
      }
    }
  }
})";

// 1 KiB.
std::string document() {
  std::string text =
      R"({"customer":"DE123456","from":"2024-01-01","to":"2024-02-29","format":"pdf",)"
      R"("priority":5,"lines":[)";
  for (int i = 0; text.size() < 920; ++i) {
    text += (i > 0 ? "," : "") + std::string(R"({"sku":"AB-)") + std::to_string(10'000 + i) +
            R"(","count":)" + std::to_string(i + 1) + R"(,"price":19.99,"note":"fragile"})";
  }
  text += "]}";
  text.insert(text.size() - 2, 1024 - text.size(), ' ');
  return text;
}

void report(const char* what, double seconds, int rounds) {
  std::printf("%-43s %7.2f us\n", what, seconds / rounds * 1e6);
}

void validate() {
  config::Validate rules;
  rules.json_schema = "schema.json";
  std::vector<routes::RuleProblem> problems;
  const routes::RequestCheck check(
      rules, "",
      [](const std::string&) -> std::optional<std::string> { return std::string(schema_text); },
      problems);
  const std::string body = document();
  constexpr int rounds = 100'000;
  std::size_t wrong = problems.size();
  const double seconds = seconds_of([&] {
    for (int i = 0; i < rounds; ++i) {
      wrong += check.check({"", {}, "application/json", body}).problems.size();
    }
  });
  report("validate 1 KiB of JSON by its schema", seconds, rounds);
  if (wrong > 0) std::printf("  %zu problems where there are none\n", wrong);
}

void patch() {
  config::BodyRules config;
  const config::TemplateJson link{"\"${public_url}\"", {{{{true, "public_url"}}, "", {}}}};
  config.json_patch = {{config::PatchOp::replace, "/customer", "", {"\"X\"", {}}, false, {}},
                       {config::PatchOp::remove, "/priority", "", {}, false, {}},
                       {config::PatchOp::add, "/lines/0/link", "", link, false, {}}};
  std::vector<routes::RuleProblem> problems;
  const auto rules = routes::BodyRules::compile(config, "response_body", {}, problems);
  const routes::BodyPlan plan = routes::BodyPlan::make(rules, {"application/json", "", false});
  const std::string body = document();
  constexpr int rounds = 100'000;
  routes::Values values;
  values.public_url = "https://new";
  std::size_t failed = problems.size();
  const double seconds = seconds_of([&] {
    for (int i = 0; i < rounds; ++i) {
      routes::BodyValues put_in;
      std::string why;
      (void)rules.render(plan, values, put_in, why);
      routes::BodyRewriter rewriter(rules, plan, std::move(put_in));
      failed += why.empty() && rewriter.rewrite(body).body ? 0U : 1U;
    }
  });
  report("patch 1 KiB of JSON, three operations", seconds, rounds);
  if (failed > 0) std::printf("  %zu failed\n", failed);
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t mib = 256;
  if (count > 1) {
    const std::string_view text = arguments[1];
    std::from_chars(text.data(), text.data() + text.size(), mib);
  }
  const std::string old = page("<a href=\"http://reports.internal:8080");
  const std::string other = page("<a href=\"https://elsewhere.example");
  const std::string hostile(std::size_t{4} << 20, 'a');
  std::vector<std::string> many;
  for (int i = 0; i < 31; ++i) many.push_back("http://host" + std::to_string(i) + ".internal");
  many.push_back("http://reports.internal:8080");
  replace("one URL, found every 150 bytes", old, {"http://reports.internal:8080"}, mib);
  replace("one URL, never found", other, {"http://reports.internal:8080"}, mib);
  replace("three, one of them of 3 bytes", old, {"http://reports.internal:8080", "fox", "hare"},
          mib);
  replace("one byte, found often", old, {"\""}, mib);
  replace("32 URLs", old, many, mib);
  replace("the worst there is", hostile,
          {std::string(1023, 'a') + "b", std::string(1022, 'a') + "c"},
          std::max<std::size_t>(mib / 16, 1));
  validate();
  patch();
}
