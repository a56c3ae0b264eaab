#include "routes/route_table.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "config/text.hpp"
#include "routes/authority.hpp"
#include "routes/edges.hpp"
#include "routes/percent.hpp"

namespace raincheck::routes {
namespace {

// Of two leaves of one kind the greater wins: the length of their literals, then of their segments.
using Rank = std::pair<std::size_t, std::size_t>;

struct Entry {
  const config::Route* route;
  const PathPattern* pattern;  // the names of its parameters are its own
  const RouteRules* rules;
  bool is_open;  // nothing but host and path decides: the route need not be looked at
};

// Of two routes of one leaf the greater wins: a named method, then more headers, more of the query.
std::tuple<bool, std::size_t, std::size_t> rank_of(const config::Match& match) {
  return {!match.methods.empty(), match.headers.size(), match.query.size()};
}

bool names_method(const config::Match& match, std::string_view method) {
  return std::find(match.methods.begin(), match.methods.end(), method) != match.methods.end();
}

// The headers and the query are what the route wants. The first of a name counts.
bool has_conditions(const config::Match& match, const Asked& asked) {
  for (const auto& [name, value] : match.headers) {
    if (asked.is_preflight) break;
    if (asked.fields == nullptr || asked.fields->find(name) != value) return false;
  }
  for (const auto& [name, value] : match.query) {
    const auto found = find_parameter(asked.query, name);
    if (!found || !decodes_to(*found, value, Plus::space)) return false;
  }
  return true;
}

// The routes that have one host and one pattern, up to the names of its parameters; the most
// specific first.
struct Leaf {
  Rank rank;
  std::vector<Entry> entries;
};

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

template <class T>
using ByText = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

// What the paths that lead here may find, and the step to take for a parameter. Literal steps are
// in Edges.
struct Node {
  std::uint32_t parameter = Edges::none;
  Leaf exact;   // patterns of literals that end here
  Leaf end;     // patterns with parameters that end here
  Leaf prefix;  // patterns that take everything that follows
};

// The patterns of all hosts, segment by segment. A tree begins at a node of its own for each host.
// Its depth is that of the longest pattern.
class Forest {
 public:
  std::uint32_t add_tree() {
    nodes_.emplace_back();
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }

  // Valid until the next call.
  Leaf& leaf(std::uint32_t tree, const PathPattern& pattern) {
    std::uint32_t at = tree;
    for (const Segment& segment : pattern.segments()) {
      std::uint32_t next =
          segment.is_parameter ? nodes_[at].parameter : edges_.find(at, segment.text);
      if (next == Edges::none) {
        next = add_tree();
        if (segment.is_parameter) {
          nodes_[at].parameter = next;
        } else {
          edges_.add(at, segment.text, next);
        }
      }
      at = next;
    }
    switch (pattern.kind()) {
      case PathPattern::Kind::exact:
        return nodes_[at].exact;
      case PathPattern::Kind::parameters:
        return nodes_[at].end;
      case PathPattern::Kind::prefix:
        break;
    }
    return nodes_[at].prefix;
  }

  // Calls visit(kind, leaf) for every leaf that the path reaches from a node, until it returns
  // true. Literals are walked before parameters, so that of two leaves of one rank the one literal
  // further left comes first.
  template <class F>
  bool walk(std::uint32_t from, SegmentReader path, const F& visit) const {
    const Node& node = nodes_[from];
    const auto offer = [&](PathPattern::Kind kind, const Leaf& leaf) {
      return !leaf.entries.empty() && visit(kind, leaf);
    };
    if (offer(PathPattern::Kind::prefix, node.prefix)) return true;
    if (path.is_done()) {
      return offer(PathPattern::Kind::exact, node.exact) ||
             offer(PathPattern::Kind::parameters, node.end);
    }
    const std::string_view segment = path.next();
    const std::uint32_t literal = edges_.find(from, segment);
    if (literal != Edges::none && walk(literal, path, visit)) return true;
    return node.parameter != Edges::none && !segment.empty() && walk(node.parameter, path, visit);
  }

 private:
  std::vector<Node> nodes_;
  Edges edges_;
};

// The best leaf of each kind that has a route for the request.
class Search {
 public:
  explicit Search(const Asked& asked) : asked_(asked), is_head_(asked.method == "HEAD") {}

  // True: nothing that is still to come can be more specific.
  bool offer(PathPattern::Kind kind, const Leaf& leaf) {
    Best& best = best_[static_cast<std::size_t>(kind)];
    const bool is_better = best.entry == nullptr || leaf.rank > best.rank;
    if (!is_better && is_path_known_) return false;
    bool is_found = false;
    for (const Entry& entry : leaf.entries) {
      if (!entry.is_open && !has_conditions(entry.route->match, asked_)) continue;
      is_path_known_ = true;
      if (!is_better) continue;
      if (!entry.is_open && !has_method(entry.route->match, asked_.method)) continue;
      // The first is the most specific, but for one that has HEAD by its GET.
      const bool is_final = !is_head_ || names_method(entry.route->match, "HEAD");
      if (!is_final && is_found) continue;
      best = {&entry, leaf.rank};
      is_found = true;
      if (is_final) break;
    }
    return is_found && kind == PathPattern::Kind::exact;
  }

  RouteMatch result() const {
    for (const Best& best : best_) {
      if (best.entry == nullptr) continue;
      return {best.entry->route, best.entry->pattern, best.entry->rules, true};
    }
    return {nullptr, nullptr, nullptr, is_path_known_};
  }

 private:
  struct Best {
    const Entry* entry = nullptr;
    Rank rank;
  };

  const Asked& asked_;
  const bool is_head_;
  std::array<Best, 3> best_;  // by PathPattern::Kind, the most specific first
  bool is_path_known_ = false;
};

std::string shared_method(const config::Match& a, const config::Match& b) {
  for (const std::string& method : a.methods) {
    if (std::find(b.methods.begin(), b.methods.end(), method) != b.methods.end()) return method;
  }
  return "";
}

// Both name it, with different values.
template <class Same>
bool differ(const std::vector<config::Named<std::string>>& a,
            const std::vector<config::Named<std::string>>& b,
            const Same& is_same) {
  return std::any_of(a.begin(), a.end(), [&](const auto& one) {
    return std::any_of(b.begin(), b.end(), [&](const auto& other) {
      return is_same(one.name, other.name) && one.value != other.value;
    });
  });
}

// No request can have both.
bool exclude_each_other(const config::Match& a, const config::Match& b) {
  return differ(a.headers, b.headers, is_same_name) ||
         differ(a.query, b.query, std::equal_to<std::string>());
}

bool overlap(const config::Match& a, const config::Match& b) {
  return a.methods.empty() || !shared_method(a, b).empty();
}

// Puts the entry behind those that are more specific. If one is neither more nor less specific and
// a request could have both, nothing is put in, and it is returned.
const Entry* insert(Leaf& leaf, const Entry& entry) {
  leaf.rank = {entry.pattern->literal_length(), entry.pattern->segments().size()};
  const config::Match& match = entry.route->match;
  for (const Entry& other : leaf.entries) {
    const config::Match& first = other.route->match;
    if (rank_of(first) != rank_of(match) || exclude_each_other(first, match)) continue;
    if (overlap(match, first)) return &other;
  }
  const auto less_specific = [&](const Entry& other) {
    return rank_of(other.route->match) < rank_of(match);
  };
  leaf.entries.insert(std::find_if(leaf.entries.begin(), leaf.entries.end(), less_specific), entry);
  return nullptr;
}

std::string conflict(const std::string& host,
                     const config::Route& second,
                     const config::Route& first) {
  const std::string method = shared_method(second.match, first.match);
  const config::Place& place = first.place;
  return "'" + host + second.match.path + "' matches the same " + method +
         (method.empty() ? "" : " ") + "requests as '" + host + first.match.path + "' at " +
         place.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

}  // namespace

bool has_method(const config::Match& match, std::string_view method) {
  return match.methods.empty() || names_method(match, method) ||
         (method == "HEAD" && names_method(match, "GET"));
}

struct RouteTable::Index {
  std::deque<PathPattern> patterns;  // one for each route; their addresses stay
  std::deque<RouteRules> rules;
  std::unordered_map<const config::Route*, RouteMatch> by_route;
  Forest forest;
  ByText<std::uint32_t> hosts;     // where their trees begin
  ByText<std::uint32_t> suffixes;  // ".example.com", of "*.example.com"
  const std::uint32_t any = forest.add_tree();

  // In lower case; empty: every host.
  std::uint32_t tree(const std::string& host) {
    if (host.empty()) return any;
    const bool is_suffix = host.front() == '*';
    const auto [found, is_new] = is_suffix ? suffixes.try_emplace(host.substr(1), Edges::none)
                                           : hosts.try_emplace(host, Edges::none);
    if (is_new) found->second = forest.add_tree();
    return found->second;
  }

  // Calls visit(tree) for the trees of a host, the most specific first, until it returns true.
  template <class F>
  void visit_trees(std::string_view authority, const F& visit) const {
    std::array<char, 256> buffer{};
    std::string_view host = host_of(authority);
    if (host.size() <= buffer.size() && (!hosts.empty() || !suffixes.empty())) {
      std::transform(host.begin(), host.end(), buffer.begin(), lower);
      host = std::string_view(buffer.data(), host.size());
      if (const auto found = hosts.find(host); found != hosts.end() && visit(found->second)) return;
      while (!suffixes.empty() && !host.empty()) {
        host.remove_prefix(std::min(host.find('.', 1), host.size()));
        const auto found = suffixes.find(host);
        if (found != suffixes.end() && visit(found->second)) return;
      }
    }
    visit(any);
  }

  static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
};

RouteTable::RouteTable(const config::Config& config, const JsonSchema::ReadFile& read)
    : index_(std::make_unique<Index>()) {
  const auto nothing = [](const std::string&) { return std::optional<std::string>(); };
  const JsonSchema::ReadFile read_file = read ? read : JsonSchema::ReadFile(nothing);
  ByText<const config::Upstream*> upstreams;
  for (const config::Upstream& upstream : config.upstreams) {
    upstreams[upstream.name] = &upstream;
    add_hash_key(upstream);
  }
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const auto upstream = upstreams.find(config.routes[i].upstream);
    add(config.routes[i], i, upstream == upstreams.end() ? nullptr : upstream->second, read_file);
  }
}

RouteTable::~RouteTable() = default;
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;

void RouteTable::add_hash_key(const config::Upstream& upstream) {
  std::unique_ptr<const Template>& key = hash_keys_.emplace_back();
  if (!upstream.hash_key) return;
  std::string why;
  key = std::make_unique<const Template>(Template::compile(*upstream.hash_key, Scope{}, why));
  if (why.empty()) return;
  problems_.push_back({upstream.hash_key->place, "upstreams." + upstream.name + ".hash_key", why});
}

void RouteTable::add(const config::Route& route,
                     std::size_t index,
                     const config::Upstream* upstream,
                     const JsonSchema::ReadFile& read) {
  const std::string path = "routes[" + std::to_string(index) + "]";
  if (route.match.path.empty()) return;  // refused when it was read
  std::string why;
  PathPattern parsed = PathPattern::parse(route.match.path, why);
  if (!why.empty()) {
    problems_.push_back({route.place, path + ".match", "'" + route.match.path + "': " + why});
    return;
  }
  const PathPattern& pattern = index_->patterns.emplace_back(std::move(parsed));
  RouteRules& rules = index_->rules.emplace_back();
  std::vector<RuleProblem> found;
  rules.compile(route, upstream, pattern, read, found);
  for (RuleProblem& problem : found) {
    problems_.push_back({problem.place, path + "." + problem.setting, std::move(problem.message)});
  }
  index_->by_route.emplace(&route, RouteMatch{&route, &pattern, &rules, true});
  const bool is_open = rank_of(route.match) == std::make_tuple(false, 0U, 0U);
  const Entry entry{&route, &pattern, &rules, is_open};
  std::set<std::string> hosts;
  for (const std::string& host : route.match.hosts) hosts.insert(config::lower_case(host));
  if (hosts.empty()) hosts.insert("");
  for (const std::string& host : hosts) {
    const Entry* const rival = insert(index_->forest.leaf(index_->tree(host), pattern), entry);
    if (rival == nullptr) continue;
    problems_.push_back({route.place, path + ".match", conflict(host, route, *rival->route)});
    return;
  }
}

RouteMatch RouteTable::of(const config::Route& route) const {
  const auto found = index_->by_route.find(&route);
  return found == index_->by_route.end() ? RouteMatch{} : found->second;
}

RouteMatch RouteTable::match(const Asked& asked) const {
  RouteMatch best;
  index_->visit_trees(asked.host, [&](std::uint32_t tree) {
    Search search(asked);
    index_->forest.walk(
        tree, SegmentReader(asked.path),
        [&](PathPattern::Kind kind, const Leaf& leaf) { return search.offer(kind, leaf); });
    const bool was_known = best.is_path_known;
    best = search.result();
    best.is_path_known = best.is_path_known || was_known;
    return static_cast<bool>(best);
  });
  return best;
}

std::string RouteTable::allowed_methods(const Asked& asked) const {
  std::set<std::string_view> methods;
  index_->visit_trees(asked.host, [&](std::uint32_t tree) {
    index_->forest.walk(tree, SegmentReader(asked.path), [&](PathPattern::Kind, const Leaf& leaf) {
      for (const Entry& entry : leaf.entries) {
        const config::Match& match = entry.route->match;
        if (has_conditions(match, asked))
          methods.insert(match.methods.begin(), match.methods.end());
      }
      return false;
    });
    return false;
  });
  if (methods.contains("GET")) methods.insert("HEAD");
  std::string text;
  for (const std::string_view method : methods) {
    if (!text.empty()) text += ", ";
    text += method;
  }
  return text;
}

}  // namespace raincheck::routes
