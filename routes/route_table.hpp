// The routes of one configuration, ready to be searched, with the rules of each and the
// hash keys of upstreams compiled.
// Immutable: a reload builds another table and swaps it in, so shards read it without locks. The
// most specific route wins whatever the order of the file: a host over the longest *.suffix over
// none; then an exact path, a path with parameters, a prefix; among those the longer literal part,
// then more segments, then the one that is literal further to the left; then a named method over
// none, more headers, more query parameters. A route for GET is one for HEAD too (RFC 9110 section
// 9.3.2), unless another one of that host and path names HEAD. A route whose method, headers or
// query are not those of the request does not hide a less specific one. Two routes that could still
// both win are refused when the table is built, so which one wins is never a question at run time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/fields.hpp"
#include "routes/path_pattern.hpp"
#include "routes/route_problem.hpp"
#include "routes/route_rules.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

// What of a request decides about its route.
struct Asked {
  std::string_view method;
  std::string_view host;  // host[:port]; may be empty
  std::string_view path;  // as normalize() gives it
  std::string_view query;
  const Fields* fields = nullptr;
  // They are not known yet: of a preflight. The headers that a route wants are taken to be there.
  bool is_preflight = false;
};

// What a request found. The route is null when none matches.
struct RouteMatch {
  const config::Route* route = nullptr;
  const PathPattern* pattern = nullptr;
  const RouteRules* rules = nullptr;
  bool is_path_known = false;  // some route has the path, if with another method: 405, not 404

  explicit operator bool() const { return route != nullptr; }
  PathPattern::Parameters parameters(std::string_view path) const {
    return pattern->parameters(path);
  }
};

// The route takes that method, unless another one of its host and path does so rather.
bool has_method(const config::Match& match, std::string_view method);

class RouteTable {
 public:
  // The configuration must outlive the table. A table with problems must not serve. `read` gives
  // the content of the files that routes name; without it none can be read.
  explicit RouteTable(const config::Config& config, const JsonSchema::ReadFile& read = {});
  ~RouteTable();
  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;

  const std::vector<RouteProblem>& problems() const { return problems_; }

  // Allocates nothing.
  RouteMatch match(const Asked& asked) const;

  // What match() finds when this route wins. A route with problems has no rules.
  RouteMatch of(const config::Route& route) const;

  // Of the upstream at this place in Config::upstreams; null: it has no hash_key.
  const Template* hash_key(std::size_t upstream) const { return hash_keys_[upstream].get(); }

  // The methods that the routes of such a request have, for Allow: "GET, POST". Empty: there is
  // none but for its method.
  std::string allowed_methods(const Asked& asked) const;

 private:
  struct Index;

  void add(const config::Route& route,
           std::size_t index,
           const config::Upstream* upstream,
           const JsonSchema::ReadFile& read);

  void add_hash_key(const config::Upstream& upstream);

  std::vector<RouteProblem> problems_;
  std::vector<std::unique_ptr<const Template>> hash_keys_;  // of each upstream
  std::unique_ptr<Index> index_;
};

}  // namespace raincheck::routes
