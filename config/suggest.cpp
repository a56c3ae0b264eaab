#include "config/suggest.hpp"

#include <algorithm>

namespace raincheck::config {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      std::size_t best = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, at(i - 2, j - 2) + 1);
      }
      at(i, j) = best;
    }
  }
  return at(a.size(), b.size());
}

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  constexpr std::size_t longest = 64;  // nobody mistypes more; bounds the work
  if (word.size() > longest) return "";
  const std::size_t limit = word.size() <= 3 ? 1 : word.size() <= 7 ? 2 : 3;
  std::size_t best = limit + 1;
  std::string found;
  for (const std::string& known : words) {
    const std::size_t gap =
        known.size() > word.size() ? known.size() - word.size() : word.size() - known.size();
    if (gap >= best) continue;
    const std::size_t distance = edit_distance(word, known);
    if (distance >= best) continue;
    best = distance;
    found = known;
  }
  return found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& words) {
  const std::string known = nearest(word, words);
  return known.empty() ? "" : "did you mean '" + known + "'?";
}

std::string one_of(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += "'" + words[i] + "'";
  }
  return text;
}

}  // namespace raincheck::config
