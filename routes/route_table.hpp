// The routes of one configuration, ready to be searched. Immutable: a reload builds another table
// and swaps it in, so shards read it without locks. The most specific route wins whatever the order
// of the file: an exact path, then a path with parameters, then a prefix; among those the longer
// literal part, then more segments, then the one that is literal further to the left; then a named
// method over none. A route that has the path but not the method does not hide a less specific one.
// Two routes that could still both win are refused when the table is built, so which one wins is
// never a question at run time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/path_pattern.hpp"
#include "routes/route_problem.hpp"

namespace raincheck::routes {

// What a request found. The route is null when none matches.
struct RouteMatch {
  const config::Route* route = nullptr;
  const PathPattern* pattern = nullptr;
  bool is_path_known = false;  // some route has the path, if with another method: 405, not 404

  explicit operator bool() const { return route != nullptr; }
  PathPattern::Parameters parameters(std::string_view path) const {
    return pattern->parameters(path);
  }
};

class RouteTable {
 public:
  // The configuration must outlive the table. A table with problems must not serve.
  explicit RouteTable(const config::Config& config);
  ~RouteTable();
  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;

  const std::vector<RouteProblem>& problems() const { return problems_; }

  // `path` as normalize() gives it. Allocates nothing.
  RouteMatch match(std::string_view method, std::string_view path) const;

  // The methods that the path's routes have, for Allow: "GET, POST". Empty: the path is unknown.
  std::string allowed_methods(std::string_view path) const;

 private:
  struct Tree;

  void add(const config::Route& route, std::size_t index);

  std::vector<RouteProblem> problems_;
  std::unique_ptr<Tree> tree_;
};

}  // namespace raincheck::routes
