// What a backend is asked for in place of what the client asked for: the path and the host of a
// route's `rewrite`, compiled when the configuration is loaded. Whatever a request holds, the
// result is a target in normal form and a host that may stand in Host, or it is refused in words.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/path_pattern.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

class Rewrite {
 public:
  Rewrite() = default;  // changes nothing

  static Rewrite compile(const config::Rewrite& rewrite,
                         const PathPattern& pattern,
                         std::vector<RuleProblem>& problems);

  bool has_path() const { return path_.has_value(); }
  bool has_host() const { return host_.has_value(); }

  // The target of the call: the rewritten path with the query of the request, unless the rule has a
  // query of its own. False: `why` says what is wrong with the request, and `target` is not to be
  // used.
  [[nodiscard]] bool make_target(const Values& values, std::string& target, std::string& why) const;

  // host[:port] for Host; untouched without a rule: the server's own.
  [[nodiscard]] bool make_host(const Values& values, std::string& host, std::string& why) const;

  // The public path of a path of the backend, both in normal form: the rule backwards. Parameters
  // that the rule does not use have the value that they had in the request. Nothing: the rule never
  // leads to such a path.
  std::optional<std::string> reverse(const Values& values, std::string_view path) const;

 private:
  // The rule backwards: the segments of its path, of which some are parameters, and what follows.
  struct Reverse {
    std::vector<Segment> segments;
    bool is_whole = false;  // what follows is the whole public path, not the rest of a prefix
  };
  static std::optional<Reverse> reverse_of(const Template& path, const PathPattern& pattern);
  std::optional<std::string> reverse_request(const Values& values, std::string_view path) const;

  std::optional<Template> path_;
  std::optional<Template> host_;
  std::optional<Reverse> reverse_;
  bool has_query_ = false;
};

}  // namespace raincheck::routes
