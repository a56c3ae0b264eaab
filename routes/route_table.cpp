#include "routes/route_table.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <set>
#include <unordered_map>
#include <utility>

namespace raincheck::routes {
namespace {

// Of two leaves of one kind the greater wins: the length of their literals, then of their segments.
using Rank = std::pair<std::size_t, std::size_t>;

struct Entry {
  const config::Route* route;
  const PathPattern* pattern;  // the names of its parameters are its own
};

// The routes that have one pattern, up to the names of its parameters. They differ in methods.
struct Leaf {
  Rank rank;
  std::vector<Entry> entries;

  // A named method wins over none.
  const Entry* find(std::string_view method) const {
    const Entry* any = nullptr;
    for (const Entry& entry : entries) {
      const auto& methods = entry.route->match.methods;
      if (methods.empty()) any = &entry;
      for (const std::string& name : methods) {
        if (name == method) return &entry;
      }
    }
    return any;
  }
};

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

template <class T>
using ByText = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

// One segment of patterns with parameters or a prefix. The depth is that of the longest pattern.
struct Node {
  ByText<std::unique_ptr<Node>> literals;
  std::unique_ptr<Node> parameter;
  Leaf end;     // patterns that end here
  Leaf prefix;  // patterns that take everything that follows
};

// Calls visit(kind, leaf) for every leaf that the path reaches. Literals are walked before
// parameters, so that of two leaves of one rank the one literal further left comes first.
template <class F>
void walk(const Node& node, SegmentReader path, const F& visit) {
  if (!node.prefix.entries.empty()) visit(PathPattern::Kind::prefix, node.prefix);
  if (path.is_done()) {
    if (!node.end.entries.empty()) visit(PathPattern::Kind::parameters, node.end);
    return;
  }
  const std::string_view segment = path.next();
  const auto found = node.literals.find(segment);
  if (found != node.literals.end()) walk(*found->second, path, visit);
  if (node.parameter && !segment.empty()) walk(*node.parameter, path, visit);
}

// The best leaf of each kind that has a route for the method.
class Search {
 public:
  explicit Search(std::string_view method) : method_(method) {}

  void offer(PathPattern::Kind kind, const Leaf& leaf) {
    is_path_known_ = true;
    Best& best = best_[static_cast<std::size_t>(kind)];
    if (best.entry != nullptr && leaf.rank <= best.rank) return;
    if (const Entry* entry = leaf.find(method_)) best = {entry, leaf.rank};
  }

  RouteMatch result() const {
    for (const Best& best : best_) {
      if (best.entry != nullptr) return {best.entry->route, best.entry->pattern, true};
    }
    return {nullptr, nullptr, is_path_known_};
  }

 private:
  struct Best {
    const Entry* entry = nullptr;
    Rank rank;
  };

  const std::string_view method_;
  std::array<Best, 3> best_;  // by PathPattern::Kind, the most specific first
  bool is_path_known_ = false;
};

std::string shared_method(const config::Match& a, const config::Match& b) {
  for (const std::string& method : a.methods) {
    if (std::find(b.methods.begin(), b.methods.end(), method) != b.methods.end()) return method;
  }
  return "";
}

}  // namespace

struct RouteTable::Tree {
  std::deque<PathPattern> patterns;  // one for each route; their addresses stay
  ByText<Leaf> exact;
  Node root;
};

RouteTable::RouteTable(const config::Config& config) : tree_(std::make_unique<Tree>()) {
  for (std::size_t i = 0; i < config.routes.size(); ++i) add(config.routes[i], i);
}

RouteTable::~RouteTable() = default;
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;

void RouteTable::add(const config::Route& route, std::size_t index) {
  const std::string path = "routes[" + std::to_string(index) + "].match";
  if (route.match.path.empty()) return;  // refused when it was read
  std::string why;
  PathPattern parsed = PathPattern::parse(route.match.path, why);
  if (!why.empty()) {
    problems_.push_back({route.place, path, "'" + route.match.path + "': " + why});
    return;
  }
  const PathPattern& pattern = tree_->patterns.emplace_back(std::move(parsed));
  Leaf* leaf = nullptr;
  if (pattern.kind() == PathPattern::Kind::exact) {
    leaf = &tree_->exact[pattern.text()];
  } else {
    Node* node = &tree_->root;
    for (const Segment& segment : pattern.segments()) {
      auto& next = segment.is_parameter ? node->parameter : node->literals[segment.text];
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    }
    leaf = pattern.kind() == PathPattern::Kind::prefix ? &node->prefix : &node->end;
  }
  leaf->rank = {pattern.literal_length(), pattern.segments().size()};
  for (const Entry& other : leaf->entries) {
    const config::Match& first = other.route->match;
    const bool are_both_open = first.methods.empty() && route.match.methods.empty();
    const std::string method = shared_method(route.match, first);
    if (!are_both_open && method.empty()) continue;
    const config::Place& place = other.route->place;
    problems_.push_back({route.place, path,
                         "'" + route.match.path + "' matches the same " +
                             (method.empty() ? "" : method + " ") + "requests as '" + first.path +
                             "' at " + place.file + ":" + std::to_string(place.line) + ":" +
                             std::to_string(place.column)});
    return;
  }
  leaf->entries.push_back({&route, &pattern});
}

RouteMatch RouteTable::match(std::string_view method, std::string_view path) const {
  Search search(method);
  const auto exact = tree_->exact.find(path);
  if (exact != tree_->exact.end()) {
    search.offer(PathPattern::Kind::exact, exact->second);
    if (const RouteMatch found = search.result()) return found;
  }
  walk(tree_->root, SegmentReader(path),
       [&](PathPattern::Kind kind, const Leaf& leaf) { search.offer(kind, leaf); });
  return search.result();
}

std::string RouteTable::allowed_methods(std::string_view path) const {
  std::set<std::string_view> methods;
  const auto add_methods = [&](PathPattern::Kind, const Leaf& leaf) {
    for (const Entry& entry : leaf.entries) {
      methods.insert(entry.route->match.methods.begin(), entry.route->match.methods.end());
    }
  };
  const auto exact = tree_->exact.find(path);
  if (exact != tree_->exact.end()) add_methods(PathPattern::Kind::exact, exact->second);
  walk(tree_->root, SegmentReader(path), add_methods);
  std::string text;
  for (const std::string_view method : methods) {
    if (!text.empty()) text += ", ";
    text += method;
  }
  return text;
}

}  // namespace raincheck::routes
