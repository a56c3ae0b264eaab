// "Did you mean": the known word that is nearest to the one that was written, if it is near enough
// to have been meant. Pure, and bounded whatever was written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::config {

// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of the words, if it is near enough to have been meant; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

// "did you mean 'x'?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& words);

// "'a', 'b' or 'c'"
std::string one_of(const std::vector<std::string>& words);

}  // namespace raincheck::config
