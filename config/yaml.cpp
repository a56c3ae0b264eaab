#include "config/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace raincheck::config::yaml {
namespace {

// yaml-cpp takes the end of the file for the closing quote. A comment that is put behind the last
// line can only be seen again inside a text that never closed.
constexpr std::string_view sentinel = "\n# end of file, unless a quote is open\n";

struct Stop {};  // the document cannot be read further; the reason is in the diagnostics

// Builds the tree from the parser's events: they, unlike its own nodes, show duplicate keys, every
// place, and aliases before they are followed.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& file, std::vector<Diagnostic>& diagnostics, const Limits& limits)
      : file_(file), diagnostics_(diagnostics), limits_(limits) {}

  Value root;
  int documents = 0;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents > 1) stop(mark, "a second document begins here; a file holds one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(begin(Kind::null, mark), anchor);
  }

  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& text) override {
    Value value = begin(Kind::scalar, mark);
    refuse_tag(mark, tag);
    value.is_quoted = tag == "!";
    if (value.is_quoted && text.find("# end of file, unless a quote is open") != text.npos) {
      stop(mark, "this quote is never closed");
    }
    count(mark, 0, text.size());
    value.text = text;
    add(std::move(value), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark, "an alias stands inside of what it names");
    const auto [nodes, bytes] = size_of(found->second);
    if (open_.size() + depth_of(found->second) > limits_.depth) stop(mark, "nested too deeply");
    count(mark, nodes, bytes);
    Value copy = found->second;
    add(std::move(copy), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(begin(Kind::list, mark), mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(begin(Kind::map, mark), mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Value value;
    YAML::anchor_t anchor = 0;
    std::optional<Value> key;  // of a map, when its value is awaited
    std::map<std::string, Place, std::less<>> seen;
  };

  Place place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  [[noreturn]] void stop(const YAML::Mark& mark, const std::string& why) {
    diagnostics_.push_back({place(mark), "", why, ""});
    throw Stop{};
  }

  Value begin(Kind kind, const YAML::Mark& mark) {
    count(mark, 1, 0);
    Value value;
    value.kind = kind;
    value.place = place(mark);
    return value;
  }

  void count(const YAML::Mark& mark, std::size_t nodes, std::size_t bytes) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > limits_.nodes || bytes_ > limits_.bytes) {
      stop(mark, "the file is too large once its aliases are written out");
    }
  }

  static std::pair<std::size_t, std::size_t> size_of(const Value& value) {
    std::size_t nodes = 1;
    std::size_t bytes = value.text.size();
    const auto add = [&](const Value& inner) {
      const auto [n, b] = size_of(inner);
      nodes += n;
      bytes += b;
    };
    for (const Value& item : value.items) add(item);
    for (const auto& [key, inner] : value.entries) {
      add(key);
      add(inner);
    }
    return {nodes, bytes};
  }

  static std::size_t depth_of(const Value& value) {
    std::size_t deepest = 0;
    for (const Value& item : value.items) deepest = std::max(deepest, depth_of(item));
    for (const auto& [key, inner] : value.entries) deepest = std::max(deepest, depth_of(inner));
    return deepest + 1;
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag == "?" || tag == "!" || tag.empty()) return;
    diagnostics_.push_back({place(mark), "", "tags such as '" + tag + "' are not used here", ""});
  }

  void open(Value value, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    if (open_.size() >= limits_.depth) stop(mark, "nested too deeply");
    open_.push_back(Open{std::move(value), anchor, std::nullopt, {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.value), done.anchor);
  }

  void add(Value value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = value;
    if (open_.empty()) {
      root = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Kind::list) {
      parent.value.items.push_back(std::move(value));
    } else if (!parent.key) {
      take_key(parent, std::move(value));
    } else {
      // Nothing written: the parser's mark is that of whatever follows.
      if (value.kind == Kind::null) value.place = parent.key->place;
      parent.value.entries.push_back({std::move(*parent.key), std::move(value)});
      parent.key.reset();
    }
  }

  void take_key(Open& map, Value key) {
    if (key.kind != Kind::scalar) {
      diagnostics_.push_back({key.place, "", "a key must be a plain word", ""});
      key = Value{Kind::scalar, false, key.place, "", {}, {}};
    } else if (const auto [first, is_new] = map.seen.emplace(key.text, key.place); !is_new) {
      diagnostics_.push_back({key.place, "",
                              "'" + key.text + "' is here twice: first at line " +
                                  std::to_string(first->second.line) + ", column " +
                                  std::to_string(first->second.column),
                              ""});
    }
    map.key = std::move(key);
  }

  const std::string& file_;
  std::vector<Diagnostic>& diagnostics_;
  const Limits& limits_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Value> anchors_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
};

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

// The first byte that no text file has, if any.
std::optional<Diagnostic> find_bad_byte(const std::string& file, std::string_view text) {
  Place place{file, 1, 1};
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return Diagnostic{place, "", "the file is not UTF-8", ""};
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r' && text.substr(i, 2) != "\r\n") {
      return Diagnostic{place, "", "a carriage return stands alone", ""};
    }
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      return Diagnostic{place, "", "a control character", ""};
    }
    if (c == '\n') {
      ++place.line;
      place.column = 0;
    }
    i += length;
    place.column += static_cast<int>(length);
  }
  return std::nullopt;
}

std::string hint_for(std::string_view line, std::string_view message) {
  if (line.find("${") != line.npos && message.find("flow") != message.npos) {
    return "inside { } and [ ] write \"${...}\" in quotes";
  }
  if (line.find('\t') != line.npos) return "indent with spaces, not tabs";
  if (message.find("illegal map value") != message.npos) {
    return "a text that holds ': ' must stand in quotes";
  }
  if (message.find("end of map") != message.npos || message.find("end of seq") != message.npos) {
    return "look at the indentation here and above, or for a bracket that is not closed";
  }
  return "";
}

std::string_view line_at(std::string_view text, int number) {
  for (; number > 1 && !text.empty(); --number) {
    const std::size_t end = text.find('\n');
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace

Document parse(const std::string& file, std::string_view text, const Limits& limits) {
  Document document;
  const auto refuse = [&](const std::string& why) {
    document.diagnostics.push_back({{file, 1, 1}, "", why, ""});
    return document;
  };
  if (text.size() > limits.bytes) return refuse("the file is larger than 16 MiB");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  if (auto bad = find_bad_byte(file, text)) {
    document.diagnostics.push_back(std::move(*bad));
    return document;
  }
  Builder builder(file, document.diagnostics, limits);
  try {
    std::istringstream stream(std::string(text) + std::string(sentinel));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    if (builder.documents == 0) return refuse("the file is empty");
    document.root = std::move(builder.root);
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    const auto lines = 1 + static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    Place place{file, std::max(error.mark.line + 1, 1), std::max(error.mark.column + 1, 1)};
    if (place.line > lines) place = {file, lines, 1};  // found at the end of the file
    document.diagnostics.push_back(
        {place, "", "not YAML: " + error.msg, hint_for(line_at(text, place.line), error.msg)});
  }
  return document;
}

}  // namespace raincheck::config::yaml
