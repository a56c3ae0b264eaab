#include "routes/replacer.hpp"

#include <algorithm>

namespace raincheck::routes {
namespace {

unsigned char byte_at(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

}  // namespace

Needles::Needles(std::vector<std::string> needles) {
  if (needles.empty()) return;
  for (std::string& text : needles) {
    needles_.push_back({std::move(text), needles_.size()});
  }
  std::stable_sort(needles_.begin(), needles_.end(),
                   [](const Needle& a, const Needle& b) { return a.text.size() > b.text.size(); });
  longest_ = needles_.front().text.size();
  shortest_ = needles_.back().text.size();
  shift_.fill(static_cast<std::uint16_t>(shortest_));
  for (const Needle& needle : needles_) {
    is_first_[byte_at(needle.text, 0)] = true;
    for (std::size_t i = 0; i < shortest_; ++i) {
      std::uint16_t& shift = shift_[byte_at(needle.text, i)];
      shift = std::min(shift, static_cast<std::uint16_t>(shortest_ - 1 - i));
    }
  }
}

// The longest needle that begins here. A longer one that only may be here comes before a shorter
// one that is.
Needles::Found Needles::at(std::string_view text, std::size_t offset, bool is_last) const {
  const std::string_view rest = text.substr(offset);
  for (const Needle& needle : needles_) {
    const std::string_view wanted = needle.text;
    if (wanted.front() != rest.front()) continue;
    if (wanted.size() <= rest.size()) {
      if (rest.substr(0, wanted.size()) == wanted) return {offset, wanted.size(), needle.index};
    } else if (!is_last && wanted.substr(0, rest.size()) == rest) {
      return {offset, 0, 0};
    }
  }
  return {text.size(), 0, 0};
}

Needles::Found Needles::find(std::string_view text, bool is_last) const {
  if (needles_.empty()) return {text.size(), 0, 0};
  std::size_t offset = 0;
  const auto is_found = [&](const Found& found) {
    return found.length > 0 || found.offset < text.size();
  };
  while (offset + shortest_ <= text.size()) {
    const std::size_t shift = shift_[byte_at(text, offset + shortest_ - 1)];
    if (shift > 0) {
      offset += shift;
      continue;
    }
    if (is_first_[byte_at(text, offset)]) {
      const Found found = at(text, offset, is_last);
      if (is_found(found)) return found;
    }
    ++offset;
  }
  // What is shorter than any needle can only be the beginning of one.
  for (; !is_last && offset < text.size(); ++offset) {
    const Found found = at(text, offset, is_last);
    if (is_found(found)) return found;
  }
  return {text.size(), 0, 0};
}

std::size_t Replacer::scan(std::string_view in, bool is_last, std::string& out) {
  std::size_t done = 0;
  while (done < in.size()) {
    const Needles::Found found = needles_.find(in.substr(done), is_last);
    out.append(in, done, found.offset);
    done += found.offset;
    if (found.length == 0) break;
    out += texts_[found.needle];
    done += found.length;
    ++count_;
  }
  return done;
}

void Replacer::write(std::string_view in, std::string& out) {
  if (!held_.empty()) {
    // With as much of the input as the longest needle has, each place in what was held is decided.
    const std::size_t before = held_.size();
    held_.append(in, 0, needles_.longest());
    const std::size_t done = scan(held_, false, out);
    if (done < before) {
      held_.erase(0, done);  // there was less
      return;
    }
    in.remove_prefix(done - before);
    held_.clear();
  }
  held_ = in.substr(scan(in, false, out));
}

void Replacer::finish(std::string& out) {
  scan(held_, true, out);
  held_.clear();
}

}  // namespace raincheck::routes
