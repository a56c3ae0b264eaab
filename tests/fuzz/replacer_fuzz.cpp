// Text substitution gives the same however the text is cut, and the same as the rule written for
// the whole of it. The input is lines of needles, an empty line, and the text.
#include "config/config.hpp"
#include "routes/replacer.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck::routes;
using raincheck::fuzz::require;

namespace {

std::vector<std::string> take_needles(std::string_view& input) {
  std::vector<std::string> needles;
  while (!input.empty()) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    if (line.empty()) break;
    const bool is_new = std::find(needles.begin(), needles.end(), line) == needles.end();
    if (is_new && needles.size() < raincheck::config::replacements_max)
      needles.emplace_back(line.substr(0, 128));
  }
  std::sort(needles.begin(), needles.end());
  needles.erase(std::unique(needles.begin(), needles.end()), needles.end());
  return needles;
}

std::vector<std::string> texts_for(const std::vector<std::string>& needles) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < needles.size(); ++i) texts.push_back("<" + std::to_string(i) + ">");
  return texts;
}

std::string reference(const std::vector<std::string>& needles, std::string_view text) {
  const std::vector<std::string> texts = texts_for(needles);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t best = needles.size();
    for (std::size_t n = 0; n < needles.size(); ++n) {
      const bool is_here = text.substr(i, needles[n].size()) == needles[n];
      if (is_here && (best == needles.size() || needles[n].size() > needles[best].size())) best = n;
    }
    out += best < needles.size() ? texts[best] : std::string(text.substr(i, 1));
    i += best < needles.size() ? needles[best].size() : 1;
  }
  return out;
}

std::string in_pieces(const std::vector<std::string>& needles,
                      std::string_view text,
                      std::size_t step) {
  const Needles compiled(needles);
  Replacer replacer(compiled, texts_for(needles));
  std::string out;
  while (!text.empty()) {
    const std::vector<char> piece = raincheck::fuzz::copy_of(text, std::min(step, text.size()));
    replacer.write({piece.data(), piece.size()}, out);
    text.remove_prefix(piece.size());
  }
  replacer.finish(out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view text = raincheck::fuzz::rest_of(data, size);
  const std::vector<std::string> needles = take_needles(text);
  const std::string expected = reference(needles, text);
  for (const std::size_t step : {text.size() + 1, std::size_t{1}, data[0] % 64 + std::size_t{2}}) {
    require(in_pieces(needles, text, step) == expected, "in pieces it is the same");
  }
  return 0;
}
